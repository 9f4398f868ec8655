// Frees its buffer on the way out of an error, and again at the end.
#include "ntddk.h"

static DECLSPEC_NOINLINE NTSTATUS ReadSettings(PVOID Buffer) {
    ExFreePoolWithTag(Buffer, 'ttSF');
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PVOID Buffer = ExAllocatePoolWithTag(PagedPool, 200, 'ttSF');
    NTSTATUS Status = ReadSettings(Buffer);
    ExFreePoolWithTag(Buffer, 'ttSF');
    return Status;
}
