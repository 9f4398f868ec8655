// Interrupt request levels, deferred procedure calls, timers.
#include "ke.h"

static KDPC *KiDpcQueue[16];
static ULONG KiDpcCount;
static LIST_ENTRY KiTimers = {&KiTimers, &KiTimers};

KIRQL KfRaiseIrql(KIRQL NewIrql) {
    KPCR *Pcr = KeGetPcr();
    KIRQL Old = Pcr->Irql;
    Pcr->Irql = NewIrql;
    __asm__ volatile("movq %0,%%cr8" ::"r"((ULONG64)NewIrql));
    return Old;
}

VOID KeLowerIrql(KIRQL NewIrql) { KfRaiseIrql(NewIrql); }

VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *Routine, PVOID Context) {
    memset(Dpc, 0, sizeof *Dpc);
    Dpc->Type = 19;
    Dpc->Importance = 1;
    Dpc->DeferredRoutine = Routine;
    Dpc->DeferredContext = Context;
}

BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID Argument1, PVOID Argument2) {
    if (Dpc->DpcData || KiDpcCount == 16) return FALSE;
    Dpc->SystemArgument1 = Argument1;
    Dpc->SystemArgument2 = Argument2;
    Dpc->DpcData = KiDpcQueue;
    KiDpcQueue[KiDpcCount++] = Dpc;
    return TRUE;
}

static DECLSPEC_NOINLINE VOID KiExecuteAllDpcs(KPRCB *Prcb) {
    for (ULONG I = 0; I < KiDpcCount; I++) {
        KDPC *Dpc = KiDpcQueue[I];
        KDEFERRED_ROUTINE *Routine = Dpc->DeferredRoutine;
        PVOID Context = Dpc->DeferredContext, One = Dpc->SystemArgument1, Two = Dpc->SystemArgument2;
        Dpc->DpcData = NULL;
        Prcb->CurrentDpcRoutine = Routine;
        Routine(Dpc, Context, One, Two);
    }
    KiDpcCount = 0;
}

DECLSPEC_NOINLINE VOID KiRetireDpcList(void) {
    KPRCB *Prcb = KeGetCurrentPrcb();
    KIRQL Old = KfRaiseIrql(DISPATCH_LEVEL);
    Prcb->DpcRoutineActive = 1;
    KiExecuteAllDpcs(Prcb);
    Prcb->DpcRoutineActive = 0;
    KeLowerIrql(Old);
}

VOID KeInitializeTimer(PKTIMER Timer) {
    memset(Timer, 0, sizeof *Timer);
    Timer->Header.Type = 8;
    InitializeListHead(&Timer->Header.WaitListHead);
}

BOOLEAN KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc) {
    Timer->DueTime = DueTime;
    Timer->Dpc = Dpc;
    Timer->Header.Reserved1 |= 0x40; // inserted
    InsertTailList(&KiTimers, &Timer->TimerListEntry);
    return FALSE;
}

BOOLEAN KeCancelTimer(PKTIMER Timer) {
    if (!(Timer->Header.Reserved1 & 0x40)) return FALSE;
    Timer->Header.Reserved1 &= ~0x40;
    RemoveEntryList(&Timer->TimerListEntry);
    return TRUE;
}

// All timers are due at once.
VOID KiTimerExpiration(void) {
    while (KiTimers.Flink != &KiTimers) {
        KTIMER *Timer = CONTAINING_RECORD(KiTimers.Flink, KTIMER, TimerListEntry);
        KeCancelTimer(Timer);
        if (Timer->Dpc) KeInsertQueueDpc(Timer->Dpc, NULL, NULL);
    }
}
