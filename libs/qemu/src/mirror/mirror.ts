// SPDX-License-Identifier: Apache-2.0
import { type QmpEvent } from '../qmp/qmp-message';
import { queryJob } from './block-graph';
import { type BitmapPlace, clearBaselineMark, listBitmaps, removeBitmap, rotateBitmap } from './dirty-bitmaps';
import { endMirrorJob } from './mirror-job';
import type { MirrorNames } from './mirror-names';
import { serveSource, withdrawSource } from './source-export';

/**
 * Why the tap no longer sees every write, or (`qmp-closed`) why it is not known any more. `target-failed`: the agent's export failed or went away;
 * `source-failed`: the machine's own disk failed; `cancelled`: somebody ended the job, also our own detach; `qmp-closed`: QEMU or only its
 * QMP connection is gone, the job may still run.
 */
export interface MirrorLoss {
  readonly reason: 'target-failed' | 'source-failed' | 'cancelled' | 'qmp-closed';
  /** QEMU's words, when it gave any. */
  readonly detail: string;
}

interface MirrorParts {
  readonly place: BitmapPlace;
  readonly names: MirrorNames;
  readonly sourceSocketPath: string;
}

/** A running agentless tap. Made by attachMirror only. */
export class Mirror {
  /** Settles once, when the tap is lost; never rejects. Attach again then (after connecting QMP again, if it was closed). */
  readonly lost: Promise<MirrorLoss>;
  private settleLost: (loss: MirrorLoss) => void = () => undefined;
  private failedOperation: string | undefined;
  private readonly endEvents: () => void;

  constructor(private readonly parts: MirrorParts) {
    const { qmp } = parts.place;
    this.lost = new Promise((resolve) => (this.settleLost = resolve));
    this.endEvents = qmp.onEvent((event) => this.take(event));
    void qmp.closed.then(() => this.settleLost({ reason: 'qmp-closed', detail: '' }));
  }

  /** Asks QEMU whether every write still reaches the target. */
  async isRunning(): Promise<boolean> {
    return (await queryJob(this.parts.place.qmp, this.parts.names.job))?.ready ?? false;
  }

  /**
   * The caller has durably noted all that `resync` named, so QEMU may forget it. Closes the read export and serves it again without the bitmap;
   * returns its URI (the same). Repeating it is harmless.
   */
  async confirmResync(): Promise<string> {
    const { place, names, sourceSocketPath } = this.parts;
    await withdrawSource({ qmp: place.qmp, exportId: names.exportId });
    for (const bitmap of await listBitmaps(place)) if (!bitmap.recording) await removeBitmap(place, bitmap.name);
    await clearBaselineMark(place);
    return serveSource({ qmp: place.qmp, exportId: names.exportId, node: place.node, socketPath: sourceSocketPath });
  }

  /**
   * Keeps a later re-attach small: a new bitmap records and the old one is returned stopped. When `isRunning()` holds afterwards, all in it was
   * acknowledged by the target; the caller removes it once that is safe (with a durable write-intent bitmap, at once).
   */
  rotateBitmap(): Promise<string> {
    return rotateBitmap(this.parts.place);
  }

  /** Forgets a bitmap that rotateBitmap returned; repeating it is harmless. */
  removeBitmap(name: string): Promise<void> {
    return removeBitmap(this.parts.place, name);
  }

  /**
   * Ends the tap. The recording bitmap stays (so that a later attach is small) unless `forget`. `force` cuts the connection to a target that does
   * not answer, which also releases a guest that waits for it; otherwise writes under way still arrive. Repeating it is harmless.
   */
  async detach(options: { force?: boolean; forget?: boolean; timeLimitMillis?: number } = {}): Promise<void> {
    const { place, names } = this.parts;
    const { force = false, forget = false, timeLimitMillis = 10_000 } = options;
    await endMirrorJob({ qmp: place.qmp, names, force, timeLimitMillis });
    await withdrawSource({ qmp: place.qmp, exportId: names.exportId });
    if (forget) {
      await clearBaselineMark(place);
      for (const bitmap of await listBitmaps(place)) await removeBitmap(place, bitmap.name);
    }
    this.settleLost({ reason: 'cancelled', detail: 'detached' });
    this.endEvents();
  }

  private take(event: QmpEvent): void {
    if (event.data['device'] !== this.parts.names.job) return;
    if (event.name === 'BLOCK_JOB_ERROR') this.failedOperation = String(event.data['operation']);
    if (event.name !== 'BLOCK_JOB_COMPLETED' && event.name !== 'BLOCK_JOB_CANCELLED') return;
    this.endEvents();
    const error = event.data['error'];
    const reason = error === undefined ? 'cancelled' : this.failedOperation === 'read' ? 'source-failed' : 'target-failed';
    this.settleLost({ reason, detail: String(error ?? '') });
  }
}
