// Calls through a pointer that leads to data: the address of the routine's record instead of the routine.
#include "ntddk.h"

typedef struct _HANDLER {
    ULONG Code;
    NTSTATUS (*Routine)(PIRP Irp);
} HANDLER;

static NTSTATUS Succeed(PIRP Irp) { return STATUS_SUCCESS; }
static HANDLER Handlers[2] = {{0x222400, Succeed}, {0x222404, Succeed}};

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) {
    NTSTATUS (*Routine)(PIRP) = (PVOID)&Handlers[0];
    NTSTATUS Status = Routine(Irp);
    IofCompleteRequest(Irp, 0);
    return Status;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    return IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
