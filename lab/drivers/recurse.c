// Walks a tree that has a loop, with half a kilobyte of stack for every step.
#include "ntddk.h"

typedef struct _NODE {
    struct _NODE *Parent;
    ULONG Depth;
} NODE;

static DECLSPEC_NOINLINE ULONG Measure(NODE *Node, volatile CHAR *Path) {
    volatile CHAR Longer[512];
    Longer[0] = Path ? Path[0] + 1 : 0;
    if (!Node->Parent) return 0;
    return Measure(Node->Parent, Longer) + Longer[0];
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    NODE *Node = ExAllocatePoolWithTag(NonPagedPool, sizeof *Node, 'doNR');
    Node->Parent = Node;
    return (NTSTATUS)Measure(Node, NULL);
}
