// Counts the ticks of a timer in a counter that nobody allocated: a null pointer at DISPATCH_LEVEL.
#include "ntddk.h"

typedef struct _EXTENSION {
    KTIMER Timer;
    KDPC Dpc;
    PULONG Counter;
} EXTENSION;

static KDEFERRED_ROUTINE Tick;
static VOID Tick(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2) {
    EXTENSION *Extension = Context;
    *Extension->Counter += 1;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    NTSTATUS Status = IoCreateDevice(DriverObject, sizeof(EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) return Status;
    EXTENSION *Extension = Device->DeviceExtension;
    KeInitializeTimer(&Extension->Timer);
    KeInitializeDpc(&Extension->Dpc, Tick, Extension);
    KeSetTimer(&Extension->Timer, (LARGE_INTEGER){.QuadPart = -10000000}, &Extension->Dpc);
    return STATUS_SUCCESS;
}
