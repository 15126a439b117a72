// SPDX-License-Identifier: Apache-2.0
export { type ByteCount, type ByteOffset, byteCount, byteOffset, GIB, KIB, MIB } from './bytes';
export { isOperationError, OperationError, type OperationErrorDetails } from './operation-error';
export { type Epoch, epoch, nextEpoch, nextSequence, type SequenceNumber, sequenceNumber } from './sequence';
export { isoFromMicros, microsFromIso, parsePointInTime, type TimeMicros, timeMicros } from './time';
export { minuteOf, type WallClock, wallClockAt } from './wall-clock';
