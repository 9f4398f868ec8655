// Copies a name while it holds a lock, from a string whose buffer was never set up: the kernel's own copy routine faults.
#include "ntddk.h"

typedef struct _REQUEST {
    UNICODE_STRING Name;
    WCHAR Copy[32];
} REQUEST;

static DECLSPEC_NOINLINE VOID RememberName(REQUEST *Request) {
    UNICODE_STRING Copy = {0, sizeof Request->Copy, Request->Copy};
    KIRQL OldIrql = KfRaiseIrql(DISPATCH_LEVEL);
    RtlCopyUnicodeString(&Copy, &Request->Name);
    KeLowerIrql(OldIrql);
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) {
    REQUEST *Request = ExAllocatePoolWithTag(NonPagedPool, sizeof *Request, 'qeRB');
    memset(Request, 0, sizeof *Request);
    Request->Name.Length = 24; // and no buffer
    RememberName(Request);
    ExFreePoolWithTag(Request, 'qeRB');
    IofCompleteRequest(Irp, 0);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    return IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
