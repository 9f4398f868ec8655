// Keeps its accounts in pool, and goes through them when a program or a timer says so. There is no mistake in it.
#include "ntddk.h"

typedef struct _ACCOUNT {
    struct _ACCOUNT *Next;
    ULONG64 Balance;
} ACCOUNT;

typedef struct _EXTENSION {
    KTIMER Timer;
    KDPC Dpc;
    ACCOUNT *Accounts;
    volatile ULONG64 Total;
} EXTENSION;

// Exported, so that the laboratory's host finds it when it breaks the memory or the processor.
__declspec(dllexport) DECLSPEC_NOINLINE ULONG64 LedgerSum(ACCOUNT *Account) {
    ULONG64 Total = 0;
    for (; Account; Account = Account->Next) Total += Account->Balance;
    return Total;
}

static VOID Balance(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2) {
    EXTENSION *Extension = Context;
    Extension->Total = LedgerSum(Extension->Accounts);
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) {
    EXTENSION *Extension = Device->DeviceExtension;
    Irp->IoStatus.Information = Extension->Total = LedgerSum(Extension->Accounts);
    IofCompleteRequest(Irp, 0);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    PDEVICE_OBJECT Device;
    NTSTATUS Status = IoCreateDevice(DriverObject, sizeof(EXTENSION), NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) return Status;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    EXTENSION *Extension = Device->DeviceExtension;
    for (ULONG I = 0; I < 8; I++) {
        ACCOUNT *Account = ExAllocatePoolWithTag(NonPagedPool, sizeof *Account, 'tccA');
        Account->Balance = 100 + I;
        Account->Next = Extension->Accounts;
        Extension->Accounts = Account;
    }
    KeInitializeTimer(&Extension->Timer);
    KeInitializeDpc(&Extension->Dpc, Balance, Extension);
    KeSetTimer(&Extension->Timer, (LARGE_INTEGER){.QuadPart = -10000000}, &Extension->Dpc);
    return STATUS_SUCCESS;
}
