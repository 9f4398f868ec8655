// Pool with genuine headers: a page is divided into blocks of multiples of 16 bytes; every header knows its own size and that of
// the block before it. Blocks of nearly a page and more are pages of their own, which are unmapped when freed.
#include "ke.h"

#define BLOCK 16
#define PAGE 0x1000
#define ALLOCATED 2
#define LARGEST_SMALL (PAGE - 2 * BLOCK)

static ULONG64 ExpNextPage = MM_POOL_BASE, ExpNextLarge = MM_LARGE_POOL_BASE;
static struct {
    ULONG64 Address, Pages;
} ExpLargeBlocks[64];

static POOL_HEADER *NextBlock(POOL_HEADER *Header) { return Header + Header->BlockSize; }
static BOOLEAN IsPageEnd(POOL_HEADER *Header) { return ((ULONG64)Header & (PAGE - 1)) == 0; }

VOID ExInitializePool(void) {}

static POOL_HEADER *AddPage(void) {
    if (ExpNextPage >= MM_POOL_BASE + MM_POOL_SIZE) return NULL;
    POOL_HEADER *Header = (POOL_HEADER *)ExpNextPage;
    ExpNextPage += PAGE;
    memset(Header, 0, PAGE);
    Header->BlockSize = PAGE / BLOCK - 1; // sizes are bytes: the last block of a page stays unused
    Header->PoolTag = 'eerF';
    POOL_HEADER *Last = NextBlock(Header);
    Last->PreviousSize = Header->BlockSize;
    Last->BlockSize = 1;
    Last->PoolType = ALLOCATED;
    Last->PoolTag = 'dnEP';
    return Header;
}

static POOL_HEADER *FindFree(ULONG Blocks) {
    for (ULONG64 Page = MM_POOL_BASE; Page < ExpNextPage; Page += PAGE) {
        POOL_HEADER *Header = (POOL_HEADER *)Page;
        do {
            if (!(Header->PoolType & ALLOCATED) && Header->BlockSize >= Blocks) return Header;
            if (Header->BlockSize == 0) break;
            Header = NextBlock(Header);
        } while (!IsPageEnd(Header));
    }
    return AddPage();
}

static PVOID AllocateLarge(SIZE_T Bytes) {
    ULONG64 Pages = (Bytes + PAGE - 1) / PAGE;
    for (ULONG I = 0; I < 64; I++) {
        if (ExpLargeBlocks[I].Address) continue;
        ExpLargeBlocks[I].Address = ExpNextLarge;
        ExpLargeBlocks[I].Pages = Pages;
        ExpNextLarge += (Pages + 1) * PAGE;
        return MiMapPages(ExpLargeBlocks[I].Address, Pages);
    }
    return NULL;
}

PVOID ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Bytes, ULONG Tag) {
    if (Bytes > LARGEST_SMALL) return AllocateLarge(Bytes);
    ULONG Blocks = (ULONG)((Bytes + BLOCK - 1) / BLOCK) + 1;
    POOL_HEADER *Header = FindFree(Blocks);
    if (!Header) return NULL;
    if (Header->BlockSize > Blocks) {
        POOL_HEADER *Rest = Header + Blocks;
        Rest->PreviousSize = (UCHAR)Blocks;
        Rest->PoolIndex = 0;
        Rest->BlockSize = (UCHAR)(Header->BlockSize - Blocks);
        Rest->PoolType = 0;
        Rest->PoolTag = 'eerF';
        POOL_HEADER *After = NextBlock(Rest);
        if (!IsPageEnd(After)) After->PreviousSize = Rest->BlockSize;
        Header->BlockSize = (UCHAR)Blocks;
    }
    Header->PoolType = (UCHAR)((Type & 1) | ALLOCATED);
    Header->PoolTag = Tag;
    return Header + 1;
}

static VOID FreeLarge(ULONG64 Address, ULONG Tag) {
    for (ULONG I = 0; I < 64; I++) {
        if (ExpLargeBlocks[I].Address != Address) continue;
        ExpLargeBlocks[I].Address = 0;
        MiUnmapPages(Address, ExpLargeBlocks[I].Pages);
        return;
    }
    KeBugCheckEx(0xc2, 0x46, Address, 0, Tag); // a page that is not allocated
}

DECLSPEC_NOINLINE VOID ExFreePoolWithTag(PVOID Block, ULONG Tag) {
    if (((ULONG64)Block & (PAGE - 1)) == 0) {
        FreeLarge((ULONG64)Block, Tag);
        return;
    }
    POOL_HEADER *Header = (POOL_HEADER *)Block - 1;
    if (!(Header->PoolType & ALLOCATED)) KeBugCheckEx(0xc2, 7, Header->PoolTag, *(ULONG *)Header, (ULONG64)Block);
    POOL_HEADER *Next = NextBlock(Header);
    if (Header->BlockSize == 0 || (!IsPageEnd(Next) && Next->PreviousSize != Header->BlockSize)) {
        KeBugCheckEx(0x19, 0x20, (ULONG64)Header, (ULONG64)Next, *(ULONG *)Header);
    }
    Header->PoolType = 0;
}
