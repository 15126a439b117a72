// SPDX-License-Identifier: Apache-2.0
export type { LiveRecord, LogRecord, RecordKey, RecordPosition } from './log-record';
export type { CorruptRange } from './scan-segment';
export { SegmentLog, type SegmentLogOptions } from './segment-log';
