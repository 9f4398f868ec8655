// Takes an entry off a list twice.
#include "ntddk.h"

typedef struct _ITEM {
    LIST_ENTRY Links;
    ULONG Number;
} ITEM;

static LIST_ENTRY Items;

static DECLSPEC_NOINLINE VOID Finish(ITEM *Item) { RemoveEntryList(&Item->Links); }

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    InitializeListHead(&Items);
    ITEM *Item[3];
    for (ULONG I = 0; I < 3; I++) {
        Item[I] = ExAllocatePoolWithTag(NonPagedPool, sizeof(ITEM), 'metI');
        Item[I]->Number = I;
        InsertTailList(&Items, &Item[I]->Links);
    }
    Finish(Item[1]);
    Finish(Item[1]);
    return STATUS_SUCCESS;
}
