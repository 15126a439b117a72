// SPDX-License-Identifier: Apache-2.0
// The views of one pair. A definition is on disk before its view is served, so that views survive a restart; closing drops definition and
// overlay. Invariant: a view that is defined pins its instant before retention may run (open the registry before the pair starts).
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ViewReader } from '@secondsite/retention-journal';
import { type ByteCount, OperationError, type TimeMicros } from '@secondsite/units';
import type { TargetPair } from '../pair/target-pair';
import type { ExportedView, ViewExporter } from './view-exporter';
import { ViewDevice } from './view-device';
import { overlayNames, WriteOverlay } from './write-overlay';

export interface ViewDefinition {
  readonly viewId: string;
  readonly pointTime: TimeMicros;
  readonly readWrite: boolean;
  readonly openedAt: TimeMicros;
  /** As it was when the view was opened; absent in files of before volumes could grow. */
  readonly sizeBytes?: ByteCount;
  /** Port of the last time, taken again after a restart when it is free. */
  readonly port?: number;
}

export interface OpenView extends ViewDefinition {
  readonly nbdUris: readonly string[];
  readonly sizeBytes: ByteCount;
}

interface LiveView {
  definition: ViewDefinition & { readonly sizeBytes: ByteCount };
  readonly reader: ViewReader;
  readonly overlay: WriteOverlay | undefined;
  readonly exported: ExportedView;
}

const VIEWS_MAX = 64;

export class ViewRegistry {
  readonly #pair: TargetPair;
  readonly #directory: StorageDirectory;
  readonly #exporter: ViewExporter;
  readonly #live = new Map<string, LiveView>();
  /** One opening or closing at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Views that could not be served again after a restart, and why. */
  readonly lost: { readonly viewId: string; readonly reason: string }[] = [];

  private constructor(parts: { pair: TargetPair; directory: StorageDirectory; exporter: ViewExporter }) {
    this.#pair = parts.pair;
    this.#directory = parts.directory;
    this.#exporter = parts.exporter;
  }

  /** Serves the views that were open before. */
  static async open(parts: { readonly pair: TargetPair; readonly directory: StorageDirectory; readonly exporter: ViewExporter }): Promise<ViewRegistry> {
    const registry = new ViewRegistry(parts);
    for (const name of await parts.directory.list()) {
      const definition = name.endsWith('.view') ? await readDefinition(parts.directory, name) : undefined;
      if (definition) await registry.#serveAgain(definition);
    }
    return registry;
  }

  list(): OpenView[] {
    return [...this.#live.values()].map(viewOf);
  }

  /** Idempotent by id. `pointTime` must be an instant that the pair offers (the caller resolved it). */
  openView(view: { readonly viewId: string; readonly pointTime: TimeMicros; readonly readWrite: boolean; readonly openedAt: TimeMicros }): Promise<OpenView> {
    return this.#inTurn(async () => {
      const known = this.#live.get(view.viewId);
      if (known) return viewOf(known);
      if (this.#live.size >= VIEWS_MAX) throw tooManyViews();
      const sized = { ...view, sizeBytes: this.#pair.sizeBytes };
      const live = await this.#serve(sized);
      await this.#writeDefinition({ ...sized, port: live.exported.port });
      return viewOf(live);
    });
  }

  /** Ends the view and drops what was written to it. False when it was not open. */
  closeView(viewId: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const live = this.#live.get(viewId);
      if (!live) return false;
      this.#live.delete(viewId);
      await live.exported.close();
      await live.overlay?.close();
      this.#pair.closeReader(live.reader);
      await this.#removeFiles(viewId);
      return true;
    });
  }

  /** Stops serving; definitions and overlays stay for the next start. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const live of this.#live.values()) {
        await live.exported.close();
        await live.overlay?.close();
        this.#pair.closeReader(live.reader);
      }
      this.#live.clear();
    });
  }

  async #serve(definition: ViewDefinition): Promise<LiveView> {
    const { viewId, pointTime, readWrite, port = 0, sizeBytes = this.#pair.sizeBytes } = definition;
    const reader = await this.#pair.openReader(pointTime);
    try {
      const overlay = readWrite ? await WriteOverlay.open(this.#directory, overlayNames(viewId), sizeBytes) : undefined;
      const device = new ViewDevice({ sizeBytes, reader, overlay });
      const exported = await this.#exporter.serve({ viewId, device, port });
      const live = { definition: { ...definition, sizeBytes }, reader, overlay, exported };
      this.#live.set(viewId, live);
      return live;
    } catch (error) {
      this.#pair.closeReader(reader);
      throw error;
    }
  }

  async #serveAgain(definition: ViewDefinition): Promise<void> {
    if (!this.#pair.retention.holds(definition.pointTime)) this.lost.push({ viewId: definition.viewId, reason: 'its instant is not in the journal any more' });
    else await this.#serve(definition);
  }

  async #writeDefinition(definition: ViewDefinition): Promise<void> {
    const name = `${definition.viewId}.view`;
    const file = await this.#directory.open(`${name}.new`, { create: true });
    const text = Buffer.from(JSON.stringify(definition));
    await file.write([text], 0);
    await file.truncate(text.length);
    await file.sync();
    await file.close();
    await this.#directory.rename(`${name}.new`, name);
    await this.#directory.sync();
  }

  async #removeFiles(viewId: string): Promise<void> {
    const names = await this.#directory.list();
    const { data, log } = overlayNames(viewId);
    for (const name of [`${viewId}.view`, data, log]) if (names.includes(name)) await this.#directory.remove(name);
    await this.#directory.sync();
  }

  #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function viewOf({ definition, exported }: LiveView): OpenView {
  return { ...definition, nbdUris: exported.nbdUris };
}

async function readDefinition(directory: StorageDirectory, name: string): Promise<ViewDefinition> {
  const file = await directory.open(name);
  const text = Buffer.alloc(file.size());
  file.readNow(text, 0);
  await file.close();
  return JSON.parse(text.toString('utf8')) as ViewDefinition;
}

function tooManyViews(): OperationError {
  return new OperationError({
    code: 'view/too-many', operation: 'open view', context: { viewsMax: VIEWS_MAX }, retryable: false, hint: 'Close views of this volume that are not used.',
  });
}
