// SPDX-License-Identifier: Apache-2.0
// The executable twin of docs/write-path.md: one block goes from the application through agent, process server and master target into a
// view, every hop is printed, and its trace arrives whole at an OTLP receiver.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestDisk, TestCluster, waitFor } from '@secondsite/cli/testing';
import type { ChangeSetTrace } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { NbdClient } from '@secondsite/nbd';
import { OtlpReceiver, type ReceivedSpan } from '@secondsite/telemetry/testing';
import { isoFromMicros, MIB, microsFromIso, type TimeMicros } from '@secondsite/units';

const blockBytes = 4096;
const blockOffset = 5 * MIB + blockBytes;

/** What has to come before what. The agent notes `answered`, and the process server `forwarded`, when the next part has answered. */
const ways = [
  ['agent first-write', 'agent cut', 'agent sent', 'master-target cache-durable', 'process-server forwarded', 'agent answered'],
  ['master-target cache-durable', 'master-target undo-durable', 'master-target applied'],
];

/** What each service says about a change set in its trace, waiting times included, in the order of the write path. The target answers in time, so the spool has no part in it. */
const spansOfServices = {
  agent: ['change set', 'gather change set', 'wait at agent', 'send change set'],
  'process-server': ['wait in process server', 'forward'],
  'master-target': ['cache', 'wait to be applied', 'undo', 'apply', 'wait for checkpoint'],
};

describe('one block on its way', () => {
  let receiver: OtlpReceiver;
  let cluster: TestCluster;
  let disk: TestDisk;
  let application: NbdClient;
  let written: { readonly issuedAt: TimeMicros; readonly acknowledgedAt: TimeMicros };
  let trace: ChangeSetTrace;

  beforeAll(async () => {
    receiver = await OtlpReceiver.start();
    cluster = await TestCluster.start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, SECONDSITE_TRACE_RATIO: '1' });
    disk = await cluster.addDisk('disk', 16 * MIB);
    application = await NbdClient.connect(disk.uri);
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
    await write('old ');
  }, 180_000);

  afterAll(async () => {
    application?.destroy();
    await cluster?.stop();
    await receiver?.close();
  }, 60_000);

  it('passes every hop in order, durable before the next one answers', async () => {
    written = await write('new!');
    trace = await traceOfWrite(written);
    process.stdout.write(`change set ${trace.epoch}/${trace.sequence}, ${trace.storedBytes} bytes, trace ${trace.traceId}\n`);
    for (const { hop, component, at, sinceFirstMillis } of trace.hops) {
      process.stdout.write(`  ${hop.padEnd(14)} ${component.split(' ')[0]?.padEnd(15)} ${at}  +${sinceFirstMillis.toFixed(1)} ms\n`);
    }
    expect(trace.silent).toEqual([]);
    const times = new Map(trace.hops.map(({ hop, component, at }) => [`${component.split(' ')[0]} ${hop}`, microsFromIso(at) as TimeMicros]));
    expect(new Set(times.keys())).toEqual(new Set(ways.flat()));
    for (const way of ways) {
      const along = way.map((hop) => times.get(hop) as TimeMicros);
      expect(along).toEqual([...along].sort((left, right) => left - right));
    }
  }, 60_000);

  it('is followed by the command for people, too', async () => {
    const printed = await cluster.print('trace', 'disk');
    for (const hop of ['first-write', 'cut', 'sent', 'answered', 'forwarded', 'cache-durable', 'applied']) expect(printed).toContain(hop);
  });

  it('is in the view of exactly its time, and not one microsecond before', async () => {
    const writeTime = timeOf(trace, 'first-write');
    expect(writeTime).toBeGreaterThanOrEqual(written.issuedAt);
    expect(writeTime).toBeLessThanOrEqual(written.acknowledgedAt);
    const seen = await textInViewAt(writeTime);
    const before = await textInViewAt(writeTime - 1);
    process.stdout.write(`  view of ${isoFromMicros(writeTime - 1)}: "${before}"\n  view of ${isoFromMicros(writeTime)}: "${seen}"\n`);
    expect([before, seen]).toEqual(['old ', 'new!']);
  }, 30_000);

  it('leaves one trace, from the agent to the replica, in which no parent is missing', async () => {
    const spans = await wholeTrace(() => trace.traceId);
    printSpans(spans);
    expect(spans.filter(({ parentSpanId }) => parentSpanId === undefined)).toMatchObject([{ serviceName: 'agent', name: 'change set' }]);
    expect(spans.filter(({ statusCode }) => statusCode === 2)).toEqual([]);
  }, 30_000);

  it('is told to the configuration server, for the RPO, in the same trace', async () => {
    const isTelling = (span: ReceivedSpan): boolean => span.serviceName === 'config-server' && span.name.includes('change-set-applied');
    // At most once a second: perhaps for the next set.
    const told = await receiver.waitFor((span) => isTelling(span) && span.startNanos >= BigInt(written.issuedAt) * 1000n, 15_000);
    const spans = await wholeTrace(() => told.traceId);
    printSpans(spans);
    expect(spans).toContain(told);
    expect((await cluster.planStatus('plan')).rpoSeconds).toBeLessThan(5);
  }, 30_000);

  it('leaves no span of any change set without its parent, after everything was sent', async () => {
    application.destroy();
    await cluster.cli('down');
    const ids = new Set(receiver.spans.map(({ traceId, spanId }) => `${traceId}/${spanId}`));
    const orphans = receiver.spans.filter(({ traceId, parentSpanId }) => parentSpanId !== undefined && !ids.has(`${traceId}/${parentSpanId}`));
    process.stdout.write(`${receiver.spans.length} spans\n`);
    expect(orphans.map(({ serviceName, name, traceId }) => `${serviceName} ${name} ${traceId}`)).toEqual([]);
  }, 60_000);

  /** The spans of a trace when all of the agent, the process server and the master target are there, and every parent, in order of time. */
  async function wholeTrace(id: () => string | undefined): Promise<ReceivedSpan[]> {
    const ofTrace = () => receiver.spans.filter(({ traceId }) => traceId === id());
    const isThere = ([service, names]: [string, string[]]) => names.every((name) => ofTrace().some((span) => span.serviceName === service && span.name === name));
    await waitFor('the spans of the change set', 15, async () => Object.entries(spansOfServices).every(isThere));
    const orphans = () => ofTrace().filter(({ parentSpanId }) => parentSpanId !== undefined && !ofTrace().some(({ spanId }) => spanId === parentSpanId));
    await waitFor('the parent of every span', 15, async () => {
      if (orphans().length > 0) throw new Error(`without parent: ${orphans().map(({ serviceName, name }) => `${serviceName} ${name}`).join(', ')}`);
      return true;
    });
    return ofTrace().sort((left, right) => Number(left.startNanos - right.startNanos));
  }

  async function write(text: string): Promise<{ issuedAt: TimeMicros; acknowledgedAt: TimeMicros }> {
    const issuedAt = clockMicros();
    await application.write(blockOffset, Buffer.alloc(blockBytes, text));
    const acknowledgedAt = clockMicros();
    await cluster.whenInSync('plan', { coveredAfter: acknowledgedAt });
    return { issuedAt, acknowledgedAt };
  }

  /** From the newest applied set backwards: an idle disk sends a heartbeat each second. */
  async function traceOfWrite({ issuedAt, acknowledgedAt }: { issuedAt: TimeMicros; acknowledgedAt: TimeMicros }): Promise<ChangeSetTrace> {
    let found = await cluster.cli<ChangeSetTrace>('trace', 'disk');
    while (timeOf(found, 'first-write') > acknowledgedAt) found = await cluster.trace('disk', { epoch: found.epoch, sequence: found.sequence - 1 });
    expect(timeOf(found, 'first-write')).toBeGreaterThanOrEqual(issuedAt);
    return found;
  }

  async function textInViewAt(at: TimeMicros): Promise<string> {
    return cluster.withView({ of: 'disk', point: ['--at', isoFromMicros(at)] }, async (client) => {
      const block = Buffer.alloc(blockBytes);
      await client.read(blockOffset, block);
      expect(block.equals(Buffer.alloc(blockBytes, block.subarray(0, 4)))).toBe(true);
      return block.toString('latin1', 0, 4);
    });
  }
});

function timeOf(trace: ChangeSetTrace, wanted: string): TimeMicros {
  return microsFromIso(trace.hops.find(({ hop }) => hop === wanted)?.at ?? '') ?? Number.POSITIVE_INFINITY;
}

function printSpans(spans: readonly ReceivedSpan[]): void {
  process.stdout.write(`trace ${spans[0]?.traceId}\n`);
  for (const { serviceName, name, startNanos, endNanos } of spans) {
    const millis = Number(endNanos - startNanos) / 1e6;
    process.stdout.write(`  ${serviceName.padEnd(15)} ${name.padEnd(20)} ${isoFromMicros(Number(startNanos / 1000n))}  ${millis.toFixed(1)} ms\n`);
  }
}
