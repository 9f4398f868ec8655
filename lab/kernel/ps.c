// Processes and threads. There is no scheduler: whoever starts another thread waits until that one has ended.
#include "ke.h"

NTKERNELAPI LIST_ENTRY PsActiveProcessHead = {&PsActiveProcessHead, &PsActiveProcessHead};
NTKERNELAPI EPROCESS KiInitialProcess, KiUserProcess;
NTKERNELAPI EPROCESS *PsInitialSystemProcess = &KiInitialProcess;
NTKERNELAPI ETHREAD KiSystemThread, KiIdleThread, KiUserThread;
static ETHREAD *PspResumeNext;

VOID PspSystemThreadStartup(PVOID Context);

static VOID PspInsertProcess(EPROCESS *Process, const CHAR *Name, ULONG64 Id) {
    Process->Pcb.Header.Type = 3;
    Process->Pcb.DirectoryTableBase = KiBootBlock.Cr3;
    Process->UniqueProcessId = (PVOID)Id;
    Process->CreateTime.QuadPart = 134179503540000000ll;
    for (ULONG I = 0; Name[I] && I < 14; I++) Process->ImageFileName[I] = Name[I];
    Process->PriorityClass = 2;
    InitializeListHead((PLIST_ENTRY)&Process->Pcb.ThreadListHead);
    InitializeListHead((PLIST_ENTRY)&Process->ThreadListHead);
    InsertTailList(&PsActiveProcessHead, (PLIST_ENTRY)&Process->ActiveProcessLinks);
}

// Prepares the thread's stack as KiSwapContext leaves one: eight registers, then where to go on.
VOID PspInsertThread(ETHREAD *Thread, EPROCESS *Process, ULONG64 Id, PVOID Start, ULONG64 StackBase, ULONG64 StackLimit) {
    KTHREAD *T = &Thread->Tcb;
    T->Header.Type = 6;
    T->Header.Size = sizeof(KTHREAD) / 4 & 0xff;
    T->State = 1;
    T->Priority = 8;
    T->Process = &Process->Pcb;
    T->ApcState.Process = &Process->Pcb;
    T->InitialStack = (PVOID)(StackBase - 0x50);
    T->StackBase = (PVOID)StackBase;
    T->StackLimit = (PVOID)StackLimit;
    ULONG64 *Stack = (ULONG64 *)(StackBase - 0x50);
    *--Stack = 0; // KiStartSystemThread returns nowhere
    *--Stack = (ULONG64)KiStartSystemThread;
    Stack -= 8;
    Stack[0] = (ULONG64)Start; // r15
    T->KernelStack = Stack;
    Thread->Cid.UniqueProcess = Process->UniqueProcessId;
    Thread->Cid.UniqueThread = (PVOID)Id;
    Thread->StartAddress = Start;
    InitializeListHead((PLIST_ENTRY)&Thread->IrpList);
    InsertTailList((PLIST_ENTRY)&Process->ThreadListHead, (PLIST_ENTRY)&Thread->ThreadListEntry);
    InsertTailList((PLIST_ENTRY)&Process->Pcb.ThreadListHead, (PLIST_ENTRY)&T->ThreadListEntry);
    Process->ActiveThreads++;
}

VOID PspSwitchTo(ETHREAD *Thread) {
    KPRCB *Prcb = KeGetCurrentPrcb();
    KTHREAD *Old = Prcb->CurrentThread;
    PspResumeNext = CONTAINING_RECORD(Old, ETHREAD, Tcb);
    Old->State = 5;
    Thread->Tcb.State = 2;
    Thread->Tcb.Running = 1;
    Prcb->CurrentThread = &Thread->Tcb;
    Prcb->RspBase = (ULONG64)Thread->Tcb.InitialStack;
    *(ULONG64 *)(KiTss + 4) = Prcb->RspBase;
    KiSwapContext((PVOID *)&Old->KernelStack, Thread->Tcb.KernelStack);
    Old->State = 2;
}

// The end of a thread: back to whoever started it.
NTSTATUS NtTerminateThread(void) {
    ETHREAD *Next = PspResumeNext;
    KPRCB *Prcb = KeGetCurrentPrcb();
    PVOID Forgotten;
    Prcb->CurrentThread->State = 4;
    Prcb->CurrentThread = &Next->Tcb;
    KiSwapContext(&Forgotten, Next->Tcb.KernelStack);
    return STATUS_SUCCESS;
}

static DECLSPEC_NOINLINE VOID PspUserThreadStartup(PVOID Context) {
    UNREFERENCED_PARAMETER(Context);
    KiStartUserThread((PVOID)KiBootBlock.UserCode, (PVOID)KiBootBlock.UserStackBase);
}

VOID PsRunUserProgram(void) {
    PspInsertProcess(&KiUserProcess, "labapp.exe", 0x1a4c);
    ULONG64 Stack = MmCreateKernelStack();
    PspInsertThread(&KiUserThread, &KiUserProcess, 0x1a50, PspUserThreadStartup, Stack, Stack - KERNEL_STACK_SIZE);
    memcpy((PVOID)KiBootBlock.UserCode, KiUserProgram, KiUserProgramEnd - KiUserProgram);
    PspSwitchTo(&KiUserThread);
}

static DECLSPEC_NOINLINE VOID KiIdleLoop(PVOID Context) {
    UNREFERENCED_PARAMETER(Context);
    KiRetireDpcList();
    NtTerminateThread();
}

VOID KiRunIdle(void) {
    ULONG64 Stack = MmCreateKernelStack();
    PspInsertThread(&KiIdleThread, &KiInitialProcess, 0, KiIdleLoop, Stack, Stack - KERNEL_STACK_SIZE);
    KiInitialPCR.Prcb.IdleThread = &KiIdleThread.Tcb;
    PspSwitchTo(&KiIdleThread);
}

VOID PsInitialize(void) {
    PspInsertProcess(&KiInitialProcess, "System", 4);
    PspInsertThread(&KiSystemThread, &KiInitialProcess, 0x1c8, PspSystemThreadStartup, KiBootBlock.StackBase, KiBootBlock.StackLimit);
    KPRCB *Prcb = &KiInitialPCR.Prcb;
    KiSystemThread.Tcb.State = 2;
    Prcb->CurrentThread = Prcb->IdleThread = &KiSystemThread.Tcb;
    Prcb->RspBase = (ULONG64)KiSystemThread.Tcb.InitialStack;
}
