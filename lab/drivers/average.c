// Divides by a count that is still zero, in a deferred procedure call: nobody there handles exceptions.
#include "ntddk.h"

typedef struct _EXTENSION {
    KTIMER Timer;
    KDPC Dpc;
    volatile ULONG Sum, Count, Average;
} EXTENSION;

static VOID ComputeAverage(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2) {
    EXTENSION *Extension = Context;
    Extension->Average = Extension->Sum / Extension->Count;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    NTSTATUS Status = IoCreateDevice(DriverObject, sizeof(EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) return Status;
    EXTENSION *Extension = Device->DeviceExtension;
    Extension->Sum = 1000;
    KeInitializeTimer(&Extension->Timer);
    KeInitializeDpc(&Extension->Dpc, ComputeAverage, Extension);
    KeSetTimer(&Extension->Timer, (LARGE_INTEGER){.QuadPart = -10000000}, &Extension->Dpc);
    return STATUS_SUCCESS;
}
