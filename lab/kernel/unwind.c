// Walking the stack by the images' unwind data (the x64 format is described in Microsoft's "x64 exception handling").
#include "ke.h"

typedef struct _UNWIND_INFO {
    UCHAR VersionAndFlags, SizeOfProlog, CountOfCodes, Frame;
    USHORT Codes[];
} UNWIND_INFO;
#define UNW_FLAG_HANDLERS 3
#define UNW_FLAG_CHAININFO 4

RUNTIME_FUNCTION *RtlLookupFunctionEntry(ULONG64 Address, ULONG64 *ImageBase) {
    KLDR_DATA_TABLE_ENTRY *Module = MiLookupDataTableEntry(Address);
    if (!Module) return NULL;
    *ImageBase = (ULONG64)Module->DllBase;
    ULONG Rva = (ULONG)(Address - *ImageBase);
    RUNTIME_FUNCTION *Table = Module->ExceptionTable;
    for (ULONG I = 0; I < Module->ExceptionTableSize / sizeof *Table; I++) {
        if (Rva >= Table[I].BeginAddress && Rva < Table[I].EndAddress) return &Table[I];
    }
    return NULL;
}

static ULONG64 *Register(CONTEXT *Context, ULONG Number) { return &Context->Rax + Number; }

static ULONG64 Pop(CONTEXT *Context) {
    ULONG64 Value = *(ULONG64 *)Context->Rsp;
    Context->Rsp += 8;
    return Value;
}

// Undoes one prologue operation. Returns how many slots it took, and whether it was the machine's own frame.
static ULONG UndoCode(UNWIND_INFO *Info, ULONG Index, CONTEXT *Context, ULONG64 Frame, BOOLEAN *Machine) {
    USHORT *Code = &Info->Codes[Index];
    ULONG Operation = Code[0] >> 8 & 15, Argument = Code[0] >> 12;
    switch (Operation) {
    case 0: // push
        *Register(Context, Argument) = Pop(Context);
        return 1;
    case 1: // allocate, large
        if (Argument == 0) {
            Context->Rsp += Code[1] * 8ull;
            return 2;
        }
        Context->Rsp += Code[1] | (ULONG)Code[2] << 16;
        return 3;
    case 2: // allocate, small
        Context->Rsp += Argument * 8 + 8;
        return 1;
    case 3: // frame register
        Context->Rsp = *Register(Context, Info->Frame & 15) - (Info->Frame >> 4) * 16;
        return 1;
    case 4: // save
        *Register(Context, Argument) = *(ULONG64 *)(Frame + Code[1] * 8ull);
        return 2;
    case 5: // save, far
        *Register(Context, Argument) = *(ULONG64 *)(Frame + (Code[1] | (ULONG)Code[2] << 16));
        return 3;
    case 8: // vector registers
        return 2;
    case 9:
        return 3;
    case 10: { // interrupt or exception
        if (Argument) Context->Rsp += 8;
        ULONG64 *Pushed = (ULONG64 *)Context->Rsp;
        Context->Rip = Pushed[0];
        Context->EFlags = (ULONG)Pushed[2];
        Context->Rsp = Pushed[3];
        *Machine = TRUE;
        return 1;
    }
    default:
        return 1;
    }
}

// Saved registers lie at offsets from where the stack pointer, or the frame register, stood after the prologue.
static ULONG64 FrameBase(UNWIND_INFO *Info, CONTEXT *Context) {
    if (!(Info->Frame & 15)) return Context->Rsp;
    return *Register(Context, Info->Frame & 15) - (Info->Frame >> 4) * 16;
}

EXCEPTION_ROUTINE *RtlVirtualUnwind(ULONG64 ImageBase, ULONG64 Address, RUNTIME_FUNCTION *Function, CONTEXT *Context, PVOID *HandlerData,
                                    ULONG64 *EstablisherFrame) {
    EXCEPTION_ROUTINE *Handler = NULL;
    BOOLEAN Machine = FALSE;
    ULONG InProlog = (ULONG)(Address - ImageBase - Function->BeginAddress);
    for (BOOLEAN First = TRUE;; First = FALSE) {
        UNWIND_INFO *Info = (UNWIND_INFO *)(ImageBase + Function->UnwindData);
        ULONG Flags = Info->VersionAndFlags >> 3;
        ULONG64 Frame = FrameBase(Info, Context);
        PVOID Tail = &Info->Codes[(Info->CountOfCodes + 1) & ~1];
        if (First) {
            *EstablisherFrame = Frame;
            if (Flags & UNW_FLAG_HANDLERS && InProlog >= Info->SizeOfProlog) {
                Handler = (EXCEPTION_ROUTINE *)(ImageBase + *(ULONG *)Tail);
                *HandlerData = (ULONG *)Tail + 1;
            }
        }
        for (ULONG I = 0; I < Info->CountOfCodes;) {
            BOOLEAN NotYet = First && InProlog < (Info->Codes[I] & 0xff);
            CONTEXT Ignored = *Context;
            BOOLEAN IgnoredMachine;
            I += NotYet ? UndoCode(Info, I, &Ignored, Frame, &IgnoredMachine) : UndoCode(Info, I, Context, Frame, &Machine);
        }
        if (!(Flags & UNW_FLAG_CHAININFO)) break;
        Function = (RUNTIME_FUNCTION *)Tail;
    }
    if (!Machine) Context->Rip = Pop(Context);
    return Handler;
}
