// Is unloaded while its timer is still set: the timer's routine is called where no code is any more.
#include "ntddk.h"

static KDPC *Dpc;
static KTIMER *Timer;

static VOID Tick(PKDPC DpcObject, PVOID Context, PVOID Argument1, PVOID Argument2) { DbgPrint("tick\n"); }

static VOID Unload(PDRIVER_OBJECT DriverObject) { DbgPrint("lefttimer goes\n"); }

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    Timer = ExAllocatePoolWithTag(NonPagedPool, sizeof *Timer, 'mTtL');
    Dpc = ExAllocatePoolWithTag(NonPagedPool, sizeof *Dpc, 'pDtL');
    KeInitializeTimer(Timer);
    KeInitializeDpc(Dpc, Tick, NULL);
    KeSetTimer(Timer, (LARGE_INTEGER){.QuadPart = -10000000}, Dpc);
    DriverObject->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
