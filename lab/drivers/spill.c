// Formats a line into a block that is one line too short. What lies behind belongs to somebody else.
#include "ntddk.h"

typedef struct _EXTENSION {
    KTIMER Timer;
    KDPC Dpc;
    CHAR *Line;
} EXTENSION;

static DECLSPEC_NOINLINE VOID Format(CHAR *To, ULONG Count) {
    for (ULONG I = 0; I < Count; I++) ((volatile CHAR *)To)[I] = "spilled "[I & 7];
}

static VOID Report(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2) {
    EXTENSION *Extension = Context;
    Format(Extension->Line, 64);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    NTSTATUS Status = IoCreateDevice(DriverObject, sizeof(EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) return Status;
    EXTENSION *Extension = Device->DeviceExtension;
    Extension->Line = ExAllocatePoolWithTag(NonPagedPool, 32, 'eniL');
    ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPool, 16, 'arcS'), 'arcS'); // whoever needs such a block next is our neighbour
    KeInitializeTimer(&Extension->Timer);
    KeInitializeDpc(&Extension->Dpc, Report, Extension);
    KeSetTimer(&Extension->Timer, (LARGE_INTEGER){.QuadPart = -5000000}, &Extension->Dpc);
    return STATUS_SUCCESS;
}
