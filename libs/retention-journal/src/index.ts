// SPDX-License-Identifier: Apache-2.0
export { allEnded } from './all-ended';
export type { ColdKeeper } from './cold-keeper';
export type { ColdObject, ColdStore } from './cold-store';
export { type ColdPolicy, ColdTier, type ColdTierOptions } from './cold-tier';
export { ExtentMap, LOST, type PieceVisitor, UNCOVERED, ZEROS } from './extent-map';
export type { JournalGroup } from './journal-group';
export {
  type OfferedBookmark, type PointRange, type PointRefusalReason, type PointRequest, RecoveryPoints, type ResolvedPoint,
} from './recovery-points';
export type { OpenReport } from './open-chain';
export type { JournalOptions, PreviewedRetention } from './journal-options';
export type { JournalDamageFound } from './journal-scrubber';
export { collectedMemory, type JournalMemory } from './journal-memory';
export { RetentionJournal } from './retention-journal';
export { type BookmarkChoice, droppedTimes, fullDetailMicros, keptPoints, type KeepRule, type RetentionLimits, type Stretch } from './retention-ladder';
export { type Bookmark, compareStreamPlaces, initialStreamState, type JournalSet, type SetFacts, type StreamState } from './stream-state';
export type { GapReason, Span, TimelineRecord } from './timeline';
export type { OldContent } from './undo-builder';
export type { JournalPosition } from './undo-entries';
export type { ViewMap } from './view-map';
export type { SegmentFile, StoredFiles, StoredSegment } from './stored-segment';
export { type ViewExtent, ViewReader } from './view-reader';
