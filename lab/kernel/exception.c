// Exceptions: the search for a handler along the stack, and what happens when there is none.
#include "ke.h"

typedef struct _DISPATCHER_CONTEXT {
    ULONG64 ControlPc, ImageBase;
    RUNTIME_FUNCTION *FunctionEntry;
    ULONG64 EstablisherFrame, TargetIp;
    CONTEXT *ContextRecord;
    EXCEPTION_ROUTINE *LanguageHandler;
    PVOID HandlerData;
} DISPATCHER_CONTEXT;

typedef struct _EXCEPTION_POINTERS {
    EXCEPTION_RECORD *ExceptionRecord;
    CONTEXT *ContextRecord;
} EXCEPTION_POINTERS;

LONG RtlpExecuteHandlerForException(EXCEPTION_RECORD *Record, PVOID Frame, CONTEXT *Context, DISPATCHER_CONTEXT *Dispatcher,
                                    EXCEPTION_ROUTINE *Handler);

// What the compiler puts behind a function with __try: ranges, their filters, and where to go on.
typedef struct _SCOPE_RECORD {
    ULONG BeginAddress, EndAddress, HandlerAddress, JumpTarget;
} SCOPE_RECORD;

typedef struct _SCOPE_TABLE {
    ULONG Count;
    SCOPE_RECORD ScopeRecord[];
} SCOPE_TABLE;

// The handler of C code. The filters in this kernel end in a bug check; none asks for its __except block to be run.
LONG __C_specific_handler(EXCEPTION_RECORD *Record, PVOID Frame, CONTEXT *Context, DISPATCHER_CONTEXT *Dispatcher) {
    SCOPE_TABLE *Scopes = Dispatcher->HandlerData;
    ULONG Rva = (ULONG)(Dispatcher->ControlPc - Dispatcher->ImageBase);
    EXCEPTION_POINTERS Pointers = {Record, Context};
    for (ULONG I = 0; I < Scopes->Count; I++) {
        if (Rva < Scopes->ScopeRecord[I].BeginAddress || Rva >= Scopes->ScopeRecord[I].EndAddress || !Scopes->ScopeRecord[I].JumpTarget) continue;
        LONG (*Filter)(EXCEPTION_POINTERS *, PVOID) = (PVOID)(Dispatcher->ImageBase + Scopes->ScopeRecord[I].HandlerAddress);
        Filter(&Pointers, Frame);
    }
    return 1; // continue the search
}

// The handler of system calls: what a service did not handle itself is a bug check.
LONG KiSystemServiceHandler(EXCEPTION_RECORD *Record, PVOID Frame, CONTEXT *Context, PVOID Dispatcher) {
    UNREFERENCED_PARAMETER(Frame);
    UNREFERENCED_PARAMETER(Dispatcher);
    KeBugCheckEx(0x3b, (ULONG)Record->ExceptionCode, (ULONG64)Record->ExceptionAddress, (ULONG64)Context, 0);
    return 1;
}

// Asks every frame's handler in turn, from the innermost outwards.
static DECLSPEC_NOINLINE BOOLEAN RtlDispatchException(EXCEPTION_RECORD *Record, CONTEXT *Context) {
    KTHREAD *Thread = KeGetCurrentThread();
    CONTEXT Walk = *Context;
    while (Walk.Rsp >= (ULONG64)Thread->StackLimit && Walk.Rsp < (ULONG64)Thread->StackBase) {
        DISPATCHER_CONTEXT Dispatcher = {.ControlPc = Walk.Rip, .ContextRecord = &Walk};
        Dispatcher.FunctionEntry = RtlLookupFunctionEntry(Walk.Rip, &Dispatcher.ImageBase);
        if (!Dispatcher.FunctionEntry) { // a function that keeps nothing on the stack
            Walk.Rip = *(ULONG64 *)Walk.Rsp;
            Walk.Rsp += 8;
            continue;
        }
        ULONG64 Pc = Walk.Rip;
        EXCEPTION_ROUTINE *Handler = RtlVirtualUnwind(Dispatcher.ImageBase, Pc, Dispatcher.FunctionEntry, &Walk, &Dispatcher.HandlerData,
                                                      &Dispatcher.EstablisherFrame);
        if (Handler) RtlpExecuteHandlerForException(Record, (PVOID)Dispatcher.EstablisherFrame, Context, &Dispatcher, Handler);
        if (Walk.Rip < 0x800000000000ull) break;
    }
    return FALSE;
}

static VOID KeContextFromKframes(KTRAP_FRAME *T, KEXCEPTION_FRAME *E, CONTEXT *C) {
    memset(C, 0, sizeof *C);
    C->ContextFlags = 0x10005f;
    C->SegCs = T->SegCs;
    C->SegSs = T->SegSs;
    C->SegDs = C->SegEs = C->SegGs = 0x2b;
    C->SegFs = 0x53;
    C->MxCsr = T->MxCsr;
    *(ULONG *)(C->FltSave + 0x18) = T->MxCsr;
    C->EFlags = T->EFlags;
    C->Rip = T->Rip;
    C->Rsp = T->Rsp;
    C->Rax = T->Rax, C->Rcx = T->Rcx, C->Rdx = T->Rdx, C->Rbp = T->Rbp;
    C->R8 = T->R8, C->R9 = T->R9, C->R10 = T->R10, C->R11 = T->R11;
    C->Rbx = E->Rbx, C->Rdi = E->Rdi, C->Rsi = E->Rsi;
    C->R12 = E->R12, C->R13 = E->R13, C->R14 = E->R14, C->R15 = E->R15;
}

NTKERNELAPI EXCEPTION_RECORD KiBugCheckExceptionRecord; // for the dump's header

VOID KiDispatchException(EXCEPTION_RECORD *Record, KEXCEPTION_FRAME *ExceptionFrame, KTRAP_FRAME *TrapFrame, CHAR PreviousMode,
                         BOOLEAN FirstChance) {
    UNREFERENCED_PARAMETER(PreviousMode);
    UNREFERENCED_PARAMETER(FirstChance);
    CONTEXT Context;
    KeContextFromKframes(TrapFrame, ExceptionFrame, &Context);
    KiBugCheckExceptionRecord = *Record;
    RtlDispatchException(Record, &Context);
    KeBugCheckEx(0x1e, (ULONG64)(LONGLONG)Record->ExceptionCode, (ULONG64)Record->ExceptionAddress, Record->ExceptionInformation[0],
                 Record->ExceptionInformation[1]);
}

LONG PspUnhandledExceptionInSystemThread(PVOID ExceptionPointers) {
    EXCEPTION_POINTERS *P = ExceptionPointers;
    KeBugCheckEx(0x7e, (ULONG64)(LONGLONG)P->ExceptionRecord->ExceptionCode, (ULONG64)P->ExceptionRecord->ExceptionAddress,
                 (ULONG64)P->ExceptionRecord, (ULONG64)P->ContextRecord);
    return 1;
}
