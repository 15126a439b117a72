// SPDX-License-Identifier: Apache-2.0
// What an operator sees of a running cluster: the RPO explained, alerts, the traces of what was slow, and metrics, of which dashboard and rules may
// use only what is there.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { VolumeRpo } from '@secondsite/contracts';
import { NbdClient } from '@secondsite/nbd';
import { OtlpReceiver } from '@secondsite/telemetry/testing';
import { clockMicros } from '@secondsite/disk-files';
import { MIB } from '@secondsite/units';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(__dirname, '..', '..', 'deploy', 'observability');
const rulesFile = join(folder, 'secondsite.rules.yml');
const dashboardText = readFileSync(join(folder, 'secondsite.dashboard.json'), 'utf8');
/** Served for who looks for them; no panel and no rule needs them. */
const withoutPanel = [
  'secondsite_agent_flow_controlled', 'secondsite_agent_sequence', 'secondsite_agent_write_bytes_rate', 'secondsite_master_target_applied_sequence',
  'secondsite_process_server_received_sets_total', 'secondsite_process_server_scrubbed_bytes_total', 'secondsite_process_server_spool_sets',
];

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

describe('what an operator sees', () => {
  let receiver: OtlpReceiver;
  let cluster: TestCluster;
  let disk: TestDisk;
  /** Nanoseconds. */
  let stoppedAt: bigint;

  beforeAll(async () => {
    receiver = await OtlpReceiver.start();
    cluster = await TestCluster.start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, SECONDSITE_TRACE_RATIO: '0', SECONDSITE_TRACE_SLOW_MILLIS: '3000' });
    disk = await cluster.addDisk('disk', 16 * MIB);
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk', '--rpo-threshold', '3s');
    const application = await NbdClient.connect(disk.uri);
    await application.write(0, Buffer.alloc(MIB, 1));
    await cluster.whenInSync('plan');
    await application.disconnect();
  }, 180_000);

  afterAll(async () => {
    await cluster?.stop();
    await receiver?.close();
  }, 60_000);

  it('finds every metric of dashboard and rules at the processes', async () => {
    const wanted = new Set([...metricsIn(dashboardText), ...metricsIn(readFileSync(rulesFile, 'utf8'))]);
    expect(wanted.size).toBeGreaterThan(40);
    await waitFor('every metric of dashboard and rules', 20, async () => {
      const served = new Set((await Promise.all((await cluster.processes()).map(({ metricsUrl }) => namesAt(metricsUrl)))).flat());
      const missing = [...wanted].filter((name) => !served.has(name));
      if (missing.length > 0) throw new Error(`nobody serves ${missing.join(', ')}`);
      return true;
    });
  }, 60_000);

  it('shows each metric that is served in a panel, or leaves it out knowingly', async () => {
    const shown = new Set([...metricsIn(dashboardText), ...metricsIn(readFileSync(rulesFile, 'utf8'))]);
    const served = (await Promise.all((await cluster.processes()).map(({ metricsUrl }) => namesAt(metricsUrl)))).flat();
    const own = served.filter((name) => name.startsWith('secondsite_'));
    expect([...new Set(own)].filter((name) => !shown.has(name)).sort()).toEqual(withoutPanel);
  });

  it('has rules that Prometheus accepts', () => {
    const checked = spawnSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' });
    if (checked.error) return void process.stdout.write('promtool is not installed: only the names in the rules were checked\n');
    expect(`${checked.stdout}${checked.stderr}`).toContain('SUCCESS');
    expect(checked.status).toBe(0);
  });

  it('has a dashboard of panels that each ask for something', () => {
    const { panels } = JSON.parse(dashboardText) as Dashboard;
    for (const { title, targets } of panels) expect([title, targets.every(({ expr }) => metricsIn(expr).length > 0)]).toEqual([title, true]);
  });

  it('is told where the seconds of an RPO are spent', async () => {
    const rpo = await cluster.cli<VolumeRpo>('rpo', 'disk');
    expect(rpo).toMatchObject({ volumeName: 'disk', planName: 'plan', stage: 'differential-sync' });
    expect(rpo.spent.map(({ place }) => place)).toEqual(['capture', 'agent-queue', 'link-to-process-server', 'spool', 'wan', 'target-queue', 'apply']);
    expect(rpo.spent.reduce((sum, { seconds }) => sum + seconds, 0)).toBeGreaterThan(0);
    process.stdout.write(await cluster.print('rpo', 'disk'));
    await waitFor('the end of alerts of the beginning', 30, async () => (await cluster.status()).alarms.length === 0);
    expect(await cluster.print('alerts')).toBe('no alerts\n');
  }, 30_000);

  it('is told that the target is away, and what to do', async () => {
    const [target] = (await cluster.processes()).filter(({ name }) => name === 'master-target');
    stoppedAt = BigInt(clockMicros()) * 1000n;
    process.kill(target?.pid as number, 'SIGSTOP');
    try {
      await waitFor('the alert', 30, async () => (await cluster.status()).alarms.some(({ kind, subject }) => kind === 'rpo-exceeded' && subject === 'disk'));
      await waitFor('the bottleneck', 10, async () => {
        const { bottleneck, words } = (await cluster.planStatus('plan')).pairs[0]?.rpoExplained ?? {};
        if (bottleneck !== 'master-target' || !/^the master target has not been heard for [\d.]+ s$/.test(words ?? '')) throw new Error(`${bottleneck}: ${words}`);
        return true;
      });
      // A set that began meanwhile, at the latest when the process server had written down the one before it, is slow after three seconds.
      await waitFor('change sets to be slow', 30, async () => ((await cluster.planStatus('plan')).rpoSeconds ?? 0) > 8);
      expect(await cluster.print('alerts')).toMatch(/^CRITICAL rpo-exceeded of disk since \S+: the RPO of disk is above 3 s\n {2}Run "secondsite rpo disk"/m);
    } finally {
      process.kill(target?.pid as number, 'SIGCONT');
    }
    await waitFor('the alert to be cleared', 30, async () => (await cluster.status()).alarms.length === 0);
  }, 90_000);

  it('finds the trace of a change set that was slow, whole, with the waiting times, although nothing is sampled', async () => {
    const slow = await receiver.waitFor(({ name, attributes, startNanos }) => name === 'change set' && attributes['secondsite.traced_because'] === 'slow' && startNanos > stoppedAt, 20_000);
    const ofTrace = () => receiver.spans.filter(({ traceId }) => traceId === slow.traceId);
    const wanted = ['agent gather change set', 'agent send change set', 'process-server forward', 'master-target wait to be applied', 'master-target apply', 'master-target wait for checkpoint'];
    await waitFor('the other parts of the trace', 20, async () => {
      const there = ofTrace().map(({ serviceName, name }) => `${serviceName} ${name}`);
      const missing = wanted.filter((span) => !there.includes(span));
      if (missing.length > 0) throw new Error(`${missing.join(', ')} are missing beside ${there.join(', ')}`);
      return true;
    });
    const waited = ofTrace().map(({ serviceName, name, startNanos, endNanos }) => [`${serviceName} ${name}`, Number(endNanos - startNanos) / 1e9] as const);
    process.stdout.write(`${waited.map(([span, seconds]) => `${span} ${seconds.toFixed(1)} s`).join('\n')}\n`);
    expect(waited.filter(([, seconds]) => seconds > 2).map(([span]) => span)).toEqual(expect.arrayContaining([expect.stringMatching(/^process-server (forward|wait)/)]));
    expect(ofTrace().filter(({ serviceName, name, parentSpanId }) => wanted.includes(`${serviceName} ${name}`) && parentSpanId !== slow.spanId).map(({ name }) => name)).toEqual([]);
    await waitFor('nothing to hang under a span that nobody has', 20, async () => {
      const there = new Set<string | undefined>(ofTrace().map(({ spanId }) => spanId));
      const lost = ofTrace().filter(({ parentSpanId }) => parentSpanId !== undefined && !there.has(parentSpanId)).map(({ name }) => name);
      if (lost.length > 0) throw new Error(`the parents of ${lost.join(', ')} are missing`);
      return true;
    });
  }, 60_000);
});

function metricsIn(text: string): string[] {
  return [...text.matchAll(/\b(?:secondsite|process|nodejs)_[a-z0-9_]+\b/g)].map(([name]) => name);
}

async function namesAt(metricsUrl: string | undefined): Promise<string[]> {
  if (metricsUrl === undefined) return [];
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  return [...text.matchAll(/^([a-z_][a-z0-9_]*)(?:\{.*\})? \S+$/gm)].map(([, name]) => name as string);
}
