// SPDX-License-Identifier: Apache-2.0
// The few system calls that Node does not offer, by koffi from the C library that Node itself is linked to.
// Source: man pages mallopt(3), preadv2(2), fallocate(2), posix_fadvise(2), lseek(2), flock(2), clock_gettime(2), madvise(2), sched_setattr(2). On other systems than Linux the sparse-file calls are absent.
import koffi from 'koffi';

const library = koffi.load(null);
const onLinux = process.platform === 'linux';

const lseek = library.func('int64_t lseek(int fd, int64_t offset, int whence)') as (fd: number, offset: number, whence: number) => number | bigint;
const flock = library.func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;
const clockGettime = library.func('int clock_gettime(int clock, _Out_ void *time)') as (clock: number, time: BigInt64Array) => number;
const fallocate = onLinux
  ? (library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as (fd: number, mode: number, offset: number, length: number) => number)
  : undefined;
const fadvise = onLinux
  ? (library.func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)') as (fd: number, offset: number, length: number, advice: number) => number)
  : undefined;
const madvise = onLinux
  ? (library.func('int madvise(uintptr_t start, size_t length, int advice)') as (start: bigint, length: bigint, advice: number) => number)
  : undefined;

const preadv2 = onLinux
  ? found(() => library.func('int64_t preadv2(int fd, const void *parts, int count, int64_t offset, int flags)') as (fd: number, parts: BigUint64Array, count: number, offset: number, flags: number) => number | bigint)
  : undefined;
const mallopt = onLinux ? found(() => library.func('int mallopt(int parameter, int value)') as (parameter: number, value: number) => number) : undefined;

/** Undefined where the C library does not have it. */
function found<Call>(bind: () => Call): Call | undefined {
  try {
    return bind();
  } catch {
    return undefined;
  }
}

/** Not in the C library of Debian 12; by number, which differs between processors. */
const schedSetattrNumber = onLinux ? { x64: 314, arm64: 274 }[process.arch as string] : undefined;
const schedSetattr = schedSetattrNumber
  ? (library.func('long syscall(long number, int thread, void *attributes, unsigned int flags)') as (number: number, thread: number, attributes: Buffer, flags: number) => number)
  : undefined;

const seekEnd = 2;
const seekData = onLinux ? 3 : 4;
const seekHole = onLinux ? 4 : 3;
const keepSizeAndPunchHole = 0x01 | 0x02;
const exclusiveWithoutWaiting = 0x02 | 0x04;
const dontNeed = 4;
/** RWF_NOWAIT */
const withoutWaiting = 0x08;
const hugePage = 14;
const noHugePage = 15;
/** Linux 6.1 or later. */
const collapse = 25;
const hugePageBytes = 2 * 1024 * 1024;
const smallPageBytes = 4096;
/** What fills at least one huge page, together with what malloc puts before it. */
const largeBytesMin = hugePageBytes - smallPageBytes;
/** M_MMAP_THRESHOLD and M_TRIM_THRESHOLD */
const [mmapThreshold, trimThreshold] = [-3, -1];
const trimBytes = 16 * 1024 * 1024;
const pageBytes = BigInt((library.func('int getpagesize()') as () => number)());

/** Name of the errno of the last failed call of this module, e.g. `ENXIO`. */
export function lastErrorName(): string {
  const errno = koffi.errno();
  return Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

/** Size of a file or block device in bytes, -1 on failure. */
export function seekToEnd(fd: number): number {
  return Number(lseek(fd, 0, seekEnd));
}

/** One struct iovec, for the length of a call. */
const part = new BigUint64Array(2);

/**
 * Reads what the system has in memory, from `offset` on, and waits for no disk; how many bytes, never 0. `elsewhere` when the first byte is not in memory or
 * the file ends there (Linux 5.9 and 5.10 say so of bytes that are only not in memory), `unknown` when that cannot be told here, or on any failure.
 * 7 µs for 64 KiB, where the thread pool takes 40.
 */
export function readFromMemory(fd: number, into: Uint8Array, offset: number): number | 'elsewhere' | 'unknown' {
  if (!preadv2) return 'unknown';
  part[0] = koffi.address(into);
  part[1] = BigInt(into.byteLength);
  const count = Number(preadv2(fd, part, 1, offset, withoutWaiting));
  if (count > 0) return count;
  return count === 0 || koffi.errno() === koffi.os.errno['EAGAIN'] ? 'elsewhere' : 'unknown';
}

/** Start of the first data at or after `offset`, -1 on failure (`ENXIO`: only a hole follows). */
export function seekToData(fd: number, offset: number): number {
  return Number(lseek(fd, offset, seekData));
}

/** Start of the first hole at or after `offset`; the end of a file counts as a hole. -1 on failure. */
export function seekToHole(fd: number, offset: number): number {
  return Number(lseek(fd, offset, seekHole));
}

/** Frees the blocks of a range, which then reads as zeros. False when the file system or system cannot do it. */
export function tryPunchHole(fd: number, range: { readonly offset: number; readonly length: number }): boolean {
  return fallocate !== undefined && fallocate(fd, keepSizeAndPunchHole, range.offset, range.length) === 0;
}

/** Gives clean pages of a file back to the system at once. Best effort; does nothing on other systems than Linux. */
export function dropCachedPages(fd: number): void {
  fadvise?.(fd, 0, 0, dontNeed);
}

/** Takes the advisory lock of an open file without waiting; false when somebody else holds it. The kernel frees it with the process. */
export function tryLock(fd: number): boolean {
  return flock(fd, exclusiveWithoutWaiting) === 0;
}

/**
 * Gives the pages of this memory back to the system at once; they read as zeros afterwards. For large memory that is not needed any more and
 * that the garbage collector would keep until it happens to run; used again all the same, it would be in small pages. Best effort; does nothing on other
 * systems than Linux.
 */
export function giveBackPages(bytes: Uint8Array): void {
  const start = koffi.address(bytes);
  const end = start + BigInt(bytes.byteLength);
  const [first, last] = [pageOf(start + pageBytes - 1n), pageOf(end)];
  // The pages at both ends hold something else too and stay. The kernel would make a huge page around each of them again until the collector has come.
  if (bytes.byteLength >= largeBytesMin) madvise?.(pageOf(start), pageOf(end + pageBytes - 1n) - pageOf(start), noHugePage);
  if (last > first) madvise?.(first, last - first, dontNeed);
}

/** Where the page begins in which an address is. */
function pageOf(address: bigint): bigint {
  return address - (address % pageBytes);
}

/**
 * Fresh shared memory for large content, in huge pages. Shared, because the garbage collector does not count it: ordinary memory would make it run for
 * every few pieces.
 */
export function sharedMemory(sizeBytes: number): SharedArrayBuffer {
  mapLargeMemory();
  const memory = new SharedArrayBuffer(sizeBytes);
  useHugePages(memory);
  return memory;
}

/** At least so many bytes: a size at which all of the memory is in huge pages, because its mapping with what malloc puts before it fills them. */
export function hugePagesSize(sizeBytes: number): number {
  return Math.ceil((sizeBytes + smallPageBytes) / hugePageBytes) * hugePageBytes - smallPageBytes;
}

/**
 * For large memory that was not touched yet: in huge pages where the system has them on request (`transparent_hugepage` is `madvise` or `always`), a page
 * fault for every 2 MiB instead of every 4 KiB. Where faults are dear, as on some hypervisors, touching 8 MiB costs 30 ms without. Best effort.
 */
export function useHugePages(memory: ArrayBufferLike): void {
  if (memory.byteLength < largeBytesMin) return;
  const start = koffi.address(new Uint8Array(memory));
  const first = pageOf(start);
  madvise?.(first, start + BigInt(memory.byteLength) - first, hugePage);
  // malloc has touched what it puts before the memory: without this the first 2 MiB would be small pages, the others huge.
  if (start % BigInt(hugePageBytes) < smallPageBytes) madvise?.(first, BigInt(hugePageBytes), collapse);
}

let isMapped = false;

/**
 * malloc gives large memory mappings of its own from now on. Otherwise it takes what is freed for a heap, of which it zeroes new pieces page by page itself.
 * And a heap keeps so much of what was freed: once the first is set, malloc would give back all but 128 KiB and fault it in again and again.
 */
function mapLargeMemory(): void {
  if (isMapped) return;
  mallopt?.(mmapThreshold, hugePageBytes / 2);
  mallopt?.(trimThreshold, trimBytes);
  isMapped = true;
}

const schedAttributesBytes = 48;

/**
 * Sets how nice a thread is and how long it may go on before the scheduler looks again, 0.1 to 100 ms: whoever wakes up with a shorter slice
 * (default: one to three) interrupts it at once. Threads that it starts inherit both. Linux 6.12 or later; older kernels take the niceness only. Best effort.
 * Source: struct sched_attr; the slice is `sched_runtime` of SCHED_OTHER.
 */
export function setSlice(threadId: number, { niceness, sliceMillis }: { readonly niceness: number; readonly sliceMillis: number }): void {
  const attributes = Buffer.alloc(schedAttributesBytes);
  attributes.writeUInt32LE(schedAttributesBytes, 0);
  attributes.writeInt32LE(niceness, 16);
  attributes.writeBigUInt64LE(BigInt(sliceMillis) * 1_000_000n, 24);
  schedSetattr?.(schedSetattrNumber as number, threadId, attributes, 0);
}

const timespec = new BigInt64Array(2);

/** CLOCK_REALTIME in whole microseconds. About 0.5 µs a call. */
export function realTimeMicros(): number {
  clockGettime(0, timespec);
  return Number(timespec[0]) * 1e6 + Math.floor(Number(timespec[1]) / 1000);
}
