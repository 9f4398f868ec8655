// What a driver sees of the kernel: a small part of the driver kit's interface, declared anew.
// The structures are laid out as Windows 10 19041 lays them out; layout.c holds them to that.
#pragma once
#include "ntdef.h"

#ifdef LAB_KERNEL
#define NTKERNELAPI __declspec(dllexport)
#else
#define NTKERNELAPI __declspec(dllimport)
#endif

// ---- dispatcher objects, deferred procedure calls, timers

typedef struct _DISPATCHER_HEADER {
    UCHAR Type, Signalling, Size, Reserved1;
    LONG SignalState;
    LIST_ENTRY WaitListHead;
} DISPATCHER_HEADER;

typedef struct _KEVENT {
    DISPATCHER_HEADER Header;
} KEVENT;

struct _KDPC;
typedef VOID KDEFERRED_ROUTINE(struct _KDPC *Dpc, PVOID Context, PVOID Argument1, PVOID Argument2);

typedef struct _KDPC {
    UCHAR Type, Importance;
    USHORT Number;
    SINGLE_LIST_ENTRY DpcListEntry;
    ULONG64 ProcessorHistory;
    KDEFERRED_ROUTINE *DeferredRoutine;
    PVOID DeferredContext, SystemArgument1, SystemArgument2, DpcData;
} KDPC, *PKDPC;

typedef struct _KTIMER {
    DISPATCHER_HEADER Header;
    LARGE_INTEGER DueTime;
    LIST_ENTRY TimerListEntry;
    KDPC *Dpc;
    USHORT Processor, TimerType;
    ULONG Period;
} KTIMER, *PKTIMER;

// ---- drivers, devices, requests

typedef struct _DRIVER_OBJECT DRIVER_OBJECT, *PDRIVER_OBJECT;
typedef struct _DEVICE_OBJECT DEVICE_OBJECT, *PDEVICE_OBJECT;
typedef struct _IRP IRP, *PIRP;
typedef NTSTATUS DRIVER_INITIALIZE(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);
typedef NTSTATUS DRIVER_DISPATCH(PDEVICE_OBJECT DeviceObject, PIRP Irp);
typedef NTSTATUS IO_COMPLETION_ROUTINE(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context);
typedef VOID DRIVER_UNLOAD(PDRIVER_OBJECT DriverObject);

#define IRP_MJ_CREATE 0x00
#define IRP_MJ_READ 0x03
#define IRP_MJ_WRITE 0x04
#define IRP_MJ_DEVICE_CONTROL 0x0e
#define IRP_MJ_POWER 0x16
#define IRP_MJ_MAXIMUM_FUNCTION 0x1b
#define IRP_MN_SET_POWER 0x02
#define SL_PENDING_RETURNED 0x01
#define FILE_DEVICE_UNKNOWN 0x22
#define DO_POWER_PAGABLE 0x2000

struct _DRIVER_OBJECT {
    SHORT Type, Size;
    PDEVICE_OBJECT DeviceObject;
    ULONG Flags;
    PVOID DriverStart;
    ULONG DriverSize;
    PVOID DriverSection, DriverExtension;
    UNICODE_STRING DriverName;
    PUNICODE_STRING HardwareDatabase;
    PVOID FastIoDispatch;
    DRIVER_INITIALIZE *DriverInit;
    PVOID DriverStartIo;
    DRIVER_UNLOAD *DriverUnload;
    DRIVER_DISPATCH *MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
};

typedef struct _DEVOBJ_EXTENSION {
    SHORT Type;
    USHORT Size;
    PDEVICE_OBJECT DeviceObject;
    ULONG PowerFlags;
    PVOID Dope;
    ULONG ExtensionFlags;
    PVOID DeviceNode;
    PDEVICE_OBJECT AttachedTo;
    LONG StartIoCount, StartIoKey;
    ULONG StartIoFlags;
    PVOID Vpb, DependencyNode, InterruptContext;
    LONG InterruptCount;
    PVOID VerifierContext;
} DEVOBJ_EXTENSION;

struct _DEVICE_OBJECT {
    SHORT Type;
    USHORT Size;
    LONG ReferenceCount;
    PDRIVER_OBJECT DriverObject;
    PDEVICE_OBJECT NextDevice, AttachedDevice;
    PIRP CurrentIrp;
    PVOID Timer;
    ULONG Flags, Characteristics;
    PVOID Vpb, DeviceExtension;
    ULONG DeviceType;
    CCHAR StackSize;
    ULONG64 Queue[9];
    ULONG AlignmentRequirement;
    ULONG64 DeviceQueue[5];
    KDPC Dpc;
    ULONG ActiveThreadCount;
    PVOID SecurityDescriptor;
    KEVENT DeviceLock;
    USHORT SectorSize, Spare1;
    DEVOBJ_EXTENSION *DeviceObjectExtension;
    PVOID Reserved;
} __attribute__((aligned(16)));

typedef struct _IO_STATUS_BLOCK {
    union {
        NTSTATUS Status;
        PVOID Pointer;
    };
    ULONG64 Information;
} IO_STATUS_BLOCK;

// Types inside of types have names of their own here: volatility3's PDB reader knows no nested ones.
struct _POWER_PARAMETERS {
    ULONG64 SystemContext, Type, State, ShutdownType;
};

struct _DEVICE_CONTROL_PARAMETERS {
    ULONG64 OutputBufferLength, InputBufferLength, IoControlCode;
    PVOID Type3InputBuffer;
};

union _IO_PARAMETERS {
    ULONG64 Argument[4];
    struct _POWER_PARAMETERS Power;
    struct _DEVICE_CONTROL_PARAMETERS DeviceIoControl;
};

typedef struct _IO_STACK_LOCATION {
    UCHAR MajorFunction, MinorFunction, Flags, Control;
    union _IO_PARAMETERS Parameters;
    PDEVICE_OBJECT DeviceObject;
    PVOID FileObject;
    IO_COMPLETION_ROUTINE *CompletionRoutine;
    PVOID Context;
} IO_STACK_LOCATION, *PIO_STACK_LOCATION;

struct _IRP_TAIL {
    PVOID DriverContext[4];
    PVOID Thread, AuxiliaryBuffer;
    LIST_ENTRY ListEntry;
    PIO_STACK_LOCATION CurrentStackLocation;
    PVOID OriginalFileObject;
    ULONG64 Spare;
};

struct _IRP {
    SHORT Type;
    USHORT Size, AllocationProcessorNumber, Reserved;
    PVOID MdlAddress;
    ULONG Flags;
    PVOID AssociatedIrp;
    LIST_ENTRY ThreadListEntry;
    IO_STATUS_BLOCK IoStatus;
    CHAR RequestorMode;
    BOOLEAN PendingReturned;
    CHAR StackCount, CurrentLocation;
    BOOLEAN Cancel;
    KIRQL CancelIrql;
    CCHAR ApcEnvironment;
    UCHAR AllocationFlags;
    IO_STATUS_BLOCK *UserIosb;
    KEVENT *UserEvent;
    ULONG64 Overlay[2];
    PVOID CancelRoutine, UserBuffer;
    struct _IRP_TAIL Tail;
};

static inline PIO_STACK_LOCATION IoGetCurrentIrpStackLocation(PIRP Irp) { return Irp->Tail.CurrentStackLocation; }

static inline VOID IoSkipCurrentIrpStackLocation(PIRP Irp) {
    Irp->CurrentLocation++;
    Irp->Tail.CurrentStackLocation++;
}

static inline VOID IoMarkIrpPending(PIRP Irp) { IoGetCurrentIrpStackLocation(Irp)->Control |= SL_PENDING_RETURNED; }

NTKERNELAPI NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize, PUNICODE_STRING DeviceName, ULONG DeviceType,
                                    ULONG Characteristics, BOOLEAN Exclusive, PDEVICE_OBJECT *DeviceObject);
NTKERNELAPI PDEVICE_OBJECT IoAttachDeviceToDeviceStack(PDEVICE_OBJECT Source, PDEVICE_OBJECT Target);
NTKERNELAPI PDEVICE_OBJECT IoGetAttachedDevice(PDEVICE_OBJECT DeviceObject);
NTKERNELAPI PDEVICE_OBJECT IoGetDeviceByName(PUNICODE_STRING DeviceName);
NTKERNELAPI NTSTATUS IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp);
NTKERNELAPI VOID IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost);

// ---- the rest

#define PASSIVE_LEVEL 0
#define DISPATCH_LEVEL 2

typedef enum _POOL_TYPE { NonPagedPool = 0, PagedPool = 1, NonPagedPoolNx = 512 } POOL_TYPE;

NTKERNELAPI VOID KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4);
NTKERNELAPI KIRQL KfRaiseIrql(KIRQL NewIrql);
NTKERNELAPI VOID KeLowerIrql(KIRQL NewIrql);
NTKERNELAPI VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *Routine, PVOID Context);
NTKERNELAPI BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID Argument1, PVOID Argument2);
NTKERNELAPI VOID KeInitializeTimer(PKTIMER Timer);
NTKERNELAPI BOOLEAN KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc);
NTKERNELAPI BOOLEAN KeCancelTimer(PKTIMER Timer);
NTKERNELAPI PVOID ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Bytes, ULONG Tag);
NTKERNELAPI VOID ExFreePoolWithTag(PVOID Block, ULONG Tag);
NTKERNELAPI VOID RtlInitUnicodeString(PUNICODE_STRING String, const WCHAR *Text);
NTKERNELAPI VOID RtlCopyUnicodeString(PUNICODE_STRING Destination, PUNICODE_STRING Source);
NTKERNELAPI ULONG DbgPrint(const CHAR *Format, ...);
NTKERNELAPI void *memset(void *Destination, int Value, SIZE_T Length);
NTKERNELAPI void *memcpy(void *Destination, const void *Source, SIZE_T Length);

// Since Windows 8 list operations check the neighbours and fail fast (int 0x29 with code 3) on a corrupt entry.
#define FAST_FAIL_CORRUPT_LIST_ENTRY 3
static inline VOID RtlFailFast(ULONG Code) { __asm__ volatile("int $0x29" ::"c"(Code) : "memory"); }

static inline VOID InitializeListHead(PLIST_ENTRY Head) { Head->Flink = Head->Blink = Head; }

static inline VOID InsertTailList(PLIST_ENTRY Head, PLIST_ENTRY Entry) {
    PLIST_ENTRY Last = Head->Blink;
    if (Last->Flink != Head) RtlFailFast(FAST_FAIL_CORRUPT_LIST_ENTRY);
    Entry->Flink = Head;
    Entry->Blink = Last;
    Last->Flink = Head->Blink = Entry;
}

static inline BOOLEAN RemoveEntryList(PLIST_ENTRY Entry) {
    PLIST_ENTRY Next = Entry->Flink, Previous = Entry->Blink;
    if (Next->Blink != Entry || Previous->Flink != Entry) RtlFailFast(FAST_FAIL_CORRUPT_LIST_ENTRY);
    Previous->Flink = Next;
    Next->Blink = Previous;
    return Next == Previous;
}
