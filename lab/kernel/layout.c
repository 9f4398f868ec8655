// Holds the structures to the layout of the public types of Windows 10 19041 (x64). Members declared with AT() are at their
// offsets by construction; what is said here and there is compared with the published types by a test of the runner.
#include "kdbg.h"
#include "ke.h"

#define SIZE(Type, Size) _Static_assert(sizeof(struct Type) == (Size), "size of " #Type)
#define OFFSET(Type, Member, Offset) _Static_assert(__builtin_offsetof(struct Type, Member) == (Offset), "offset of " #Type "." #Member)

SIZE(_CONTEXT, 0x4d0);
OFFSET(_CONTEXT, ContextFlags, 0x30);
OFFSET(_CONTEXT, Rsp, 0x98);
OFFSET(_CONTEXT, Rip, 0xf8);
SIZE(_EXCEPTION_RECORD, 0x98);
OFFSET(_EXCEPTION_RECORD, ExceptionInformation, 0x20);
SIZE(_KTRAP_FRAME, 0x190);
OFFSET(_KTRAP_FRAME, FaultAddress, 0xd0);
OFFSET(_KTRAP_FRAME, Rbx, 0x140);
OFFSET(_KTRAP_FRAME, Rbp, 0x158);
OFFSET(_KTRAP_FRAME, Rip, 0x168);
OFFSET(_KTRAP_FRAME, Rsp, 0x180);
SIZE(_KEXCEPTION_FRAME, 0x140);
OFFSET(_KEXCEPTION_FRAME, Rbp, 0xf8);
OFFSET(_KEXCEPTION_FRAME, Return, 0x138);
SIZE(_KSPECIAL_REGISTERS, 0xf0);
OFFSET(_KSPECIAL_REGISTERS, Cr8, 0xa0);
SIZE(_KPROCESSOR_STATE, 0x5c0);
SIZE(_KPROCESS, 0x438);
SIZE(_EPROCESS, 0xa40);
SIZE(_KTHREAD, 0x430);
SIZE(_ETHREAD, 0x898);
SIZE(_KPRCB, 0xaf00);
SIZE(_KPCR, 0xb080 + 0xf80); // rounded up to whole pages here; 0xb080 in Windows
SIZE(_KLDR_DATA_TABLE_ENTRY, 0xa0);
OFFSET(_KLDR_DATA_TABLE_ENTRY, DllBase, 0x30);
OFFSET(_KLDR_DATA_TABLE_ENTRY, BaseDllName, 0x58);
OFFSET(_KLDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x9c);
SIZE(_POOL_HEADER, 0x10);
OFFSET(_POOL_HEADER, PoolTag, 0x4);
SIZE(_KDPC, 0x40);
OFFSET(_KDPC, DeferredRoutine, 0x18);
SIZE(_KTIMER, 0x40);
OFFSET(_KTIMER, Dpc, 0x30);
SIZE(_DRIVER_OBJECT, 0x150);
OFFSET(_DRIVER_OBJECT, DriverStart, 0x18);
OFFSET(_DRIVER_OBJECT, DriverName, 0x38);
OFFSET(_DRIVER_OBJECT, MajorFunction, 0x70);
SIZE(_DEVICE_OBJECT, 0x150);
OFFSET(_DEVICE_OBJECT, AttachedDevice, 0x18);
OFFSET(_DEVICE_OBJECT, DeviceExtension, 0x40);
OFFSET(_DEVICE_OBJECT, StackSize, 0x4c);
OFFSET(_DEVICE_OBJECT, Dpc, 0xc8);
OFFSET(_DEVICE_OBJECT, DeviceObjectExtension, 0x138);
SIZE(_DEVOBJ_EXTENSION, 0x70);
OFFSET(_DEVOBJ_EXTENSION, DeviceNode, 0x28);
OFFSET(_DEVOBJ_EXTENSION, AttachedTo, 0x30);
SIZE(_IO_STACK_LOCATION, 0x48);
OFFSET(_IO_STACK_LOCATION, DeviceObject, 0x28);
OFFSET(_IO_STACK_LOCATION, CompletionRoutine, 0x38);
SIZE(_IRP, 0xd0);
OFFSET(_IRP, IoStatus, 0x30);
OFFSET(_IRP, CurrentLocation, 0x43);
OFFSET(_IRP, CancelRoutine, 0x68);
OFFSET(_IRP, Tail, 0x78);
SIZE(_KDDEBUGGER_DATA64, 0x380);
