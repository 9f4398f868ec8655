// What each trap means: an exception for a handler to see, or a bug check.
#include "ke.h"

// The last trap's frame: the host saves the memory around its registers, as Windows does for a small dump.
NTKERNELAPI KTRAP_FRAME *LabTrapFrame;

// Called by the trap entries of trap.s with the frame they built.
VOID KiTrapHandler(KTRAP_FRAME *TrapFrame, ULONG Vector) {
    LabTrapFrame = TrapFrame;
    ULONG64 Rip = TrapFrame->Rip;
    switch (Vector) {
    case 0:
        KiExceptionDispatch(STATUS_INTEGER_DIVIDE_BY_ZERO, 0, Rip, 0, 0, TrapFrame);
        break;
    case 2:
        KiBugCheckDispatch(0x80, 0x4f4454, 0, 0, 0);
        break;
    case 3:
        KiExceptionDispatch(STATUS_BREAKPOINT, 1, Rip - 1, 0, 0, TrapFrame);
        break;
    case 6:
        KiExceptionDispatch(STATUS_ILLEGAL_INSTRUCTION, 0, Rip, 0, 0, TrapFrame);
        break;
    case 8:
        KiBugCheckDispatch(0x7f, 8, (ULONG64)TrapFrame, TrapFrame->Rsp, Rip);
        break;
    case 13: // an address that cannot exist: the processor does not say which
        KiExceptionDispatch(STATUS_ACCESS_VIOLATION, 2, Rip, 0, ~0ull, TrapFrame);
        break;
    }
}

VOID KiPageFaultHandler(KTRAP_FRAME *TrapFrame, ULONG Vector) {
    UNREFERENCED_PARAMETER(Vector);
    LabTrapFrame = TrapFrame;
    MmAccessFault(TrapFrame);
}

// int 0x29: code that found its own data corrupt asks to be stopped at once; no handler is consulted.
VOID KiFastFailDispatch(ULONG64 Code, KTRAP_FRAME *TrapFrame) {
    EXCEPTION_RECORD Record = {.ExceptionCode = (NTSTATUS)0xc0000409, .ExceptionFlags = 1, .NumberParameters = 1};
    Record.ExceptionAddress = (PVOID)TrapFrame->Rip;
    Record.ExceptionInformation[0] = Code;
    KiBugCheckDispatch(0x139, Code, (ULONG64)TrapFrame, (ULONG64)&Record, 0);
}

VOID KiSecurityCheckHandler(KTRAP_FRAME *TrapFrame, ULONG Vector) {
    UNREFERENCED_PARAMETER(Vector);
    LabTrapFrame = TrapFrame;
    TrapFrame->Rip -= 2; // the trap is reported behind the instruction; Windows names the instruction itself
    KiFastFailDispatch(TrapFrame->Rcx, TrapFrame);
}
