// Looks up a table with a number from the request that it does not check.
#include "ntddk.h"

static ULONG Table[16] = {1, 2, 3, 5, 8, 13, 21, 34};

static DECLSPEC_NOINLINE ULONG LookUp(ULONG64 Index) { return Table[Index]; }

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) {
    ULONG64 Code = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;
    Irp->IoStatus.Information = LookUp(Code * 100);
    IofCompleteRequest(Irp, 0);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    return IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
