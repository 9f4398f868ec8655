// Reads the request's buffer without asking whether there is one: inside the system call of a program.
#include "ntddk.h"

static DECLSPEC_NOINLINE ULONG ReadVersion(PIO_STACK_LOCATION Stack) {
    PULONG Buffer = Stack->Parameters.DeviceIoControl.Type3InputBuffer;
    return Buffer[4];
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) {
    Irp->IoStatus.Information = ReadVersion(IoGetCurrentIrpStackLocation(Irp));
    IofCompleteRequest(Irp, 0);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    return IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
