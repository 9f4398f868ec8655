// Keeps a pointer into a large buffer, frees the buffer, and reads through the pointer.
#include "ntddk.h"

static volatile ULONG *Header;

static DECLSPEC_NOINLINE ULONG Refresh(void) {
    PVOID Buffer = ExAllocatePoolWithTag(NonPagedPool, 0x3000, 'fuBU');
    Header = Buffer;
    Header[0x20] = 7;
    ExFreePoolWithTag(Buffer, 'fuBU');
    return Header[0x20];
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) {
    Irp->IoStatus.Information = Refresh();
    IofCompleteRequest(Irp, 0);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    return IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
