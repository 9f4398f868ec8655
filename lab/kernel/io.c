// Drivers, devices and requests.
#include "ke.h"

#define MAXIMUM_DEVICES 32
static PDEVICE_OBJECT IopDevices[MAXIMUM_DEVICES];
static UNICODE_STRING IopDeviceNames[MAXIMUM_DEVICES];
static ULONG IopDeviceCount;
static PDRIVER_OBJECT IopDrivers[12];

VOID MmUnloadSystemImage(KLDR_DATA_TABLE_ENTRY *Entry);

static NTSTATUS IopInvalidDeviceRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    IofCompleteRequest(Irp, 0);
    return STATUS_INVALID_DEVICE_REQUEST;
}

// \Driver\name of name.sys.
static VOID NameDriver(PDRIVER_OBJECT Driver, const volatile WCHAR *Image) {
    ObRenameString(&Driver->DriverName, (const WCHAR *)L"\\Driver\\", Image);
    Driver->DriverName.Length -= 8; // .sys
    Driver->DriverName.Buffer[Driver->DriverName.Length / 2] = 0;
}

static DECLSPEC_NOINLINE NTSTATUS PnpCallDriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath) {
    NTSTATUS Status = Driver->DriverInit(Driver, RegistryPath);
    DbgPrint(NT_SUCCESS(Status) ? " loaded\n" : " failed\n");
    return Status;
}

static DECLSPEC_NOINLINE NTSTATUS IopLoadDriver(ULONG Index) {
    volatile LAB_BOOT_MODULE *Module = &KiBootBlock.Modules[Index];
    KiInsertModule(Index);
    PDRIVER_OBJECT Driver = ExAllocatePoolWithTag(NonPagedPool, sizeof *Driver, 'virD');
    memset(Driver, 0, sizeof *Driver);
    Driver->Type = 4;
    Driver->Size = sizeof *Driver;
    Driver->Flags = 0x12;
    Driver->DriverStart = (PVOID)Module->Base;
    Driver->DriverSize = (ULONG)Module->Size;
    Driver->DriverInit = (DRIVER_INITIALIZE *)Module->Entry;
    Driver->DriverSection = MiLookupDataTableEntry(Module->Base);
    for (ULONG I = 0; I <= IRP_MJ_MAXIMUM_FUNCTION; I++) Driver->MajorFunction[I] = IopInvalidDeviceRequest;
    NameDriver(Driver, Module->Name);
    IopDrivers[Index] = Driver;
    UNICODE_STRING RegistryPath;
    ObRenameString(&RegistryPath, (const WCHAR *)L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\", Module->Name);
    RegistryPath.Length -= 8;
    return PnpCallDriverEntry(Driver, &RegistryPath);
}

VOID IoInitSystem(void) {
    for (ULONG I = 1; I < KiBootBlock.ModuleCount; I++) IopLoadDriver(I);
}

VOID IoUnloadDrivers(void) {
    for (ULONG I = 1; I < KiBootBlock.ModuleCount; I++) {
        PDRIVER_OBJECT Driver = IopDrivers[I];
        if (!Driver->DriverUnload) continue;
        Driver->DriverUnload(Driver);
        MmUnloadSystemImage(Driver->DriverSection);
    }
}

NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize, PUNICODE_STRING DeviceName, ULONG DeviceType,
                        ULONG Characteristics, BOOLEAN Exclusive, PDEVICE_OBJECT *DeviceObject) {
    UNREFERENCED_PARAMETER(Exclusive);
    ULONG Size = (sizeof(DEVICE_OBJECT) + DeviceExtensionSize + 15) & ~15;
    PDEVICE_OBJECT Device = ExAllocatePoolWithTag(NonPagedPool, Size + sizeof(DEVOBJ_EXTENSION), 'iveD');
    if (!Device || IopDeviceCount == MAXIMUM_DEVICES) return STATUS_INSUFFICIENT_RESOURCES;
    memset(Device, 0, Size + sizeof(DEVOBJ_EXTENSION));
    Device->Type = 3;
    Device->Size = (USHORT)(sizeof(DEVICE_OBJECT) + DeviceExtensionSize);
    Device->DriverObject = DriverObject;
    Device->NextDevice = DriverObject->DeviceObject;
    Device->DeviceExtension = DeviceExtensionSize ? Device + 1 : NULL;
    Device->DeviceType = DeviceType;
    Device->Characteristics = Characteristics;
    Device->Flags = 0x40 | DO_POWER_PAGABLE;
    Device->StackSize = 1;
    Device->DeviceObjectExtension = (DEVOBJ_EXTENSION *)((UCHAR *)Device + Size);
    Device->DeviceObjectExtension->Type = 13;
    Device->DeviceObjectExtension->DeviceObject = Device;
    DriverObject->DeviceObject = Device;
    if (DeviceName) IopDeviceNames[IopDeviceCount] = *DeviceName;
    IopDevices[IopDeviceCount++] = Device;
    *DeviceObject = Device;
    return STATUS_SUCCESS;
}

PDEVICE_OBJECT IoGetDeviceByName(PUNICODE_STRING DeviceName) {
    for (ULONG I = 0; I < IopDeviceCount; I++) {
        USHORT Length = IopDeviceNames[I].Length / 2, Same = 0;
        while (Same < Length && IopDeviceNames[I].Buffer[Same] == DeviceName->Buffer[Same]) Same++;
        if (Length && Same == Length && IopDeviceNames[I].Length == DeviceName->Length) return IopDevices[I];
    }
    return NULL;
}

// Handles of user programs are 1, 2, 3, in the order of the devices.
PDEVICE_OBJECT IopDeviceByHandle(ULONG64 Handle) { return Handle >= 1 && Handle <= IopDeviceCount ? IopDevices[Handle - 1] : NULL; }

PDEVICE_OBJECT IopLowestDevice(ULONG Index) {
    PDEVICE_OBJECT Device = Index < IopDeviceCount ? IopDevices[Index] : NULL;
    return Device;
}

PDEVICE_OBJECT IoGetAttachedDevice(PDEVICE_OBJECT DeviceObject) {
    while (DeviceObject->AttachedDevice) DeviceObject = DeviceObject->AttachedDevice;
    return DeviceObject;
}

PDEVICE_OBJECT IoAttachDeviceToDeviceStack(PDEVICE_OBJECT Source, PDEVICE_OBJECT Target) {
    PDEVICE_OBJECT Top = IoGetAttachedDevice(Target);
    Top->AttachedDevice = Source;
    Source->StackSize = Top->StackSize + 1;
    Source->DeviceObjectExtension->AttachedTo = Top;
    return Top;
}

PIRP IoAllocateIrp(CCHAR StackSize) {
    USHORT Size = (USHORT)(sizeof(IRP) + StackSize * sizeof(IO_STACK_LOCATION));
    PIRP Irp = ExAllocatePoolWithTag(NonPagedPool, Size, ' prI');
    memset(Irp, 0, Size);
    Irp->Type = 6;
    Irp->Size = Size;
    Irp->StackCount = StackSize;
    Irp->CurrentLocation = StackSize + 1;
    InitializeListHead(&Irp->ThreadListEntry);
    Irp->Tail.Thread = KeGetCurrentThread();
    Irp->Tail.CurrentStackLocation = (PIO_STACK_LOCATION)(Irp + 1) + StackSize;
    return Irp;
}

DECLSPEC_NOINLINE NTSTATUS IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp) {
    if (--Irp->CurrentLocation <= 0) KeBugCheckEx(0x35, (ULONG64)Irp, 0, 0, 0);
    PIO_STACK_LOCATION Stack = --Irp->Tail.CurrentStackLocation;
    Stack->DeviceObject = DeviceObject;
    NTSTATUS Status = DeviceObject->DriverObject->MajorFunction[Stack->MajorFunction](DeviceObject, Irp);
    __asm__ volatile("" ::: "memory"); // no tail call: the frame stays on the stack, as in Windows
    return Status;
}

DECLSPEC_NOINLINE VOID IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost) {
    UNREFERENCED_PARAMETER(PriorityBoost);
    if (Irp->CurrentLocation > Irp->StackCount + 1) KeBugCheckEx(0x44, (ULONG64)Irp, 0xeae, 0, 0);
    Irp->CurrentLocation = Irp->StackCount + 2;
}

static DECLSPEC_NOINLINE NTSTATUS IopSynchronousServiceTail(PDEVICE_OBJECT Device, PIRP Irp) {
    NTSTATUS Status = IofCallDriver(Device, Irp);
    if (Status != STATUS_PENDING) ExFreePoolWithTag(Irp, ' prI');
    return Status;
}

NTSTATUS NtDeviceIoControlFile(ULONG64 Handle, ULONG64 Code) {
    PDEVICE_OBJECT Device = IopDeviceByHandle(Handle);
    if (!Device) return STATUS_INVALID_HANDLE;
    Device = IoGetAttachedDevice(Device);
    PIRP Irp = IoAllocateIrp(Device->StackSize);
    Irp->RequestorMode = 1;
    PIO_STACK_LOCATION Next = Irp->Tail.CurrentStackLocation - 1;
    Next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    Next->Parameters.DeviceIoControl.IoControlCode = Code;
    NTSTATUS Status = IopSynchronousServiceTail(Device, Irp);
    return Status == STATUS_INVALID_HANDLE ? STATUS_INVALID_DEVICE_REQUEST : Status;
}
