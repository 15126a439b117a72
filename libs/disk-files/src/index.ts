// SPDX-License-Identifier: Apache-2.0
export { DiskDirectory, openDirectory } from './disk-directory';
export { DiskFile } from './disk-file';
export { Idle } from './idle';
export { readJsonFile, writeJsonAtomically } from './json-file';
export { type FolderLock, lockFolder } from './lock-folder';
export { clockMicros, MonotonicClock } from './monotonic-clock';
export { largeMemory } from './large-memory';
export { openBlockFile } from './open-block-file';
export { giveBackPages, hugePagesSize, setSlice, sharedMemory, useHugePages } from './system-calls';
export { storageFailure } from './storage-failure';
