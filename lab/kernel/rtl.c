// Strings and bytes.
#include "ke.h"

__attribute__((used)) int _fltused = 0x9875;

void *memset(void *Destination, int Value, SIZE_T Length) {
    void *Start = Destination;
    __asm__ volatile("rep stosb" : "+D"(Destination), "+c"(Length) : "a"(Value) : "memory");
    return Start;
}

// Byte by byte, going through the source with rsi and the destination with rdi: a bad pointer is seen in the registers.
void *memcpy(void *Destination, const void *Source, SIZE_T Length) {
    void *Start = Destination;
    __asm__ volatile("rep movsb" : "+D"(Destination), "+S"(Source), "+c"(Length)::"memory");
    return Start;
}

VOID RtlInitUnicodeString(PUNICODE_STRING String, const WCHAR *Text) {
    USHORT Length = 0;
    while (Text && Text[Length]) Length++;
    String->Length = Length * 2;
    String->MaximumLength = Length * 2 + 2;
    String->Buffer = (PWSTR)Text;
}

VOID RtlCopyUnicodeString(PUNICODE_STRING Destination, PUNICODE_STRING Source) {
    USHORT Length = Source->Length < Destination->MaximumLength ? Source->Length : Destination->MaximumLength;
    Destination->Length = Length;
    memcpy(Destination->Buffer, Source->Buffer, Length);
}

// A string in pool: the prefix and the name, without the name's ending if it is to be a service's.
VOID ObRenameString(PUNICODE_STRING Target, const WCHAR *Prefix, const volatile WCHAR *Name) {
    WCHAR *Text = ExAllocatePoolWithTag(NonPagedPool, 160, 'mNbO');
    ULONG Length = 0;
    while (*Prefix && Length < 79) Text[Length++] = *Prefix++;
    while (*Name && Length < 79) Text[Length++] = *Name++;
    Text[Length] = 0;
    RtlInitUnicodeString(Target, Text);
}
