// The lowest driver of a device stack: it finishes every power request.
#include "ntddk.h"

static NTSTATUS Power(PDEVICE_OBJECT Device, PIRP Irp) {
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IofCompleteRequest(Irp, 0);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    UNICODE_STRING Name;
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_POWER] = Power;
    RtlInitUnicodeString(&Name, L"\\Device\\LabBus0");
    return IoCreateDevice(DriverObject, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
