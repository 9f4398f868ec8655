// A filter that keeps power requests until its queue is empty, and whose queue never is.
#include "ntddk.h"

static PDEVICE_OBJECT Lower;
static PIRP Held;
static volatile LONG Queued = 1;

static NTSTATUS Power(PDEVICE_OBJECT Device, PIRP Irp) {
    if (Queued) {
        IoMarkIrpPending(Irp);
        Held = Irp;
        return STATUS_PENDING;
    }
    IoSkipCurrentIrpStackLocation(Irp);
    return IofCallDriver(Lower, Irp);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    UNICODE_STRING Name;
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_POWER] = Power;
    RtlInitUnicodeString(&Name, L"\\Device\\LabBus0");
    IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    Lower = IoAttachDeviceToDeviceStack(Device, IoGetDeviceByName(&Name));
    return STATUS_SUCCESS;
}
