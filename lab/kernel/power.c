// Going to sleep: every device stack gets a power request, and a watchdog sees which one is not finished.
#include "ke.h"

typedef struct _TRIAGE_9F_POWER {
    USHORT Signature, Revision;
    LIST_ENTRY *IrpList, *ThreadList;
    PVOID DelayedWorkQueue, DelayedIoWorkQueue;
} TRIAGE_9F_POWER;
_Static_assert(sizeof(TRIAGE_9F_POWER) == 0x28, "TRIAGE_9F_POWER");

static LIST_ENTRY PopIrpList = {&PopIrpList, &PopIrpList}, PopIrpThreadList = {&PopIrpThreadList, &PopIrpThreadList};
static ULONG64 ExWorkerQueue[8], IopWorkerQueue[8];
static TRIAGE_9F_POWER PopTriage9f;
static PIRP PopPending;
static PDEVICE_OBJECT PopPendingDevice;

static DECLSPEC_NOINLINE VOID PopIrpWatchdogBugcheck(PDEVICE_OBJECT Device, PIRP Irp) {
    PopTriage9f.Signature = 0x8000;
    PopTriage9f.Revision = 2;
    PopTriage9f.IrpList = &PopIrpList;
    PopTriage9f.ThreadList = &PopIrpThreadList;
    PopTriage9f.DelayedWorkQueue = ExWorkerQueue;
    PopTriage9f.DelayedIoWorkQueue = IopWorkerQueue;
    KeBugCheckEx(0x9f, 3, (ULONG64)Device, (ULONG64)&PopTriage9f, (ULONG64)Irp);
}

static VOID PopIrpWatchdog(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2) {
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    if (PopPending) PopIrpWatchdogBugcheck(PopPendingDevice, PopPending);
}

static DECLSPEC_NOINLINE VOID PopRequestPowerIrp(PDEVICE_OBJECT Lowest) {
    PDEVICE_OBJECT Top = IoGetAttachedDevice(Lowest);
    PIRP Irp = IoAllocateIrp(Top->StackSize);
    PIO_STACK_LOCATION Next = Irp->Tail.CurrentStackLocation - 1;
    Next->MajorFunction = IRP_MJ_POWER;
    Next->MinorFunction = IRP_MN_SET_POWER;
    Next->Parameters.Power.Type = 1;
    Next->Parameters.Power.State = 4; // D3
    Irp->IoStatus.Status = STATUS_NOT_SUPPORTED;
    if (IofCallDriver(Top, Irp) == STATUS_PENDING) {
        PopPending = Irp;
        PopPendingDevice = Lowest;
    } else {
        ExFreePoolWithTag(Irp, ' prI');
    }
}

VOID PoSleep(void) {
    PDEVICE_OBJECT Device;
    for (ULONG I = 0; (Device = IopLowestDevice(I)); I++) {
        if (!Device->DeviceObjectExtension->AttachedTo && Device->AttachedDevice) PopRequestPowerIrp(Device);
    }
    static KDPC Watchdog;
    KeInitializeDpc(&Watchdog, PopIrpWatchdog, NULL);
    KeInsertQueueDpc(&Watchdog, NULL, NULL);
    KiRunIdle();
}
