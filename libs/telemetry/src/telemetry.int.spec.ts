// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { metrics, trace } from '@opentelemetry/api';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createLogger } from './create-logger';
import { startTelemetry, type Telemetry } from './start-telemetry';
import { OtlpReceiver } from './testing';
import { activeTraceparent, inSpan, startSpan, traceparentOf } from './trace-context';

let telemetry: Telemetry;

beforeAll(async () => {
  telemetry = await startTelemetry({ serviceName: 'sample', metricsListen: '127.0.0.1:0' });
});

afterAll(async () => {
  await telemetry.shutdown();
});

/** Runs a compiled sample in a process of its own. */
function compiledSample(name: string): string {
  return join(__dirname.replace('/src', '/dist'), 'testing', `${name}.js`);
}

async function get(path: string): Promise<{ status: number; text: string }> {
  const [response] = (await once(request(`${telemetry.metricsUrl}${path}`).end(), 'response')) as [import('node:http').IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

describe('traces', () => {
  async function runTraceSample(otlpEndpoint: string): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, [compiledSample('trace-sample'), otlpEndpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  it('reach an OTLP receiver as one trace, also when they travel as a traceparent', async () => {
    const receiver = await OtlpReceiver.start();
    expect(await runTraceSample(receiver.url)).toEqual({ code: 0, output: '' });
    await receiver.close();
    const [root, store, append, failing, answer] = ['seal change set', 'store change set', 'append to spool', 'failing', 'GET'].map((name) =>
      receiver.spans.find((span) => span.name === name),
    );
    expect(root).toMatchObject({ serviceName: 'sample', instanceId: 'sample-1', attributes: { sequence: 7 }, startNanos: 1_700_000_000_000_000_000n });
    expect([store?.traceId, append?.traceId, answer?.traceId]).toEqual([root?.traceId, root?.traceId, root?.traceId]);
    expect([store?.parentSpanId, append?.parentSpanId]).toEqual([root?.spanId, store?.spanId]);
    expect(failing?.statusCode).toBe(2);
    const [given, unrecorded, after] = ['given', 'given unrecorded', 'after given'].map((name) => receiver.spans.find((span) => span.name === name));
    expect(given).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' });
    expect([given?.parentSpanId, unrecorded]).toEqual([undefined, undefined]);
    expect([after?.traceId === given?.traceId, after?.spanId === given?.spanId]).toEqual([false, false]);
  });

  it('do not keep a process from ending when the receiver is away', async () => {
    const started = Date.now();
    expect(await runTraceSample('http://127.0.0.1:1')).toMatchObject({ code: 0, output: expect.stringContaining('not exported') });
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it('follow the decision of the sender: what it does not record is not recorded here', async () => {
    const span = startSpan({ name: 'unrecorded', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' });
    expect(span.isRecording()).toBe(false);
    expect(traceparentOf(span)).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
  });

  it('start anew when the sender gives nonsense', () => {
    for (const traceparent of ['', 'x', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`]) {
      const span = startSpan({ name: 'fresh', traceparent });
      expect(span.spanContext().traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
      span.end();
    }
  });

  it('throw a failure on', async () => {
    const failure = inSpan({ name: 'failing' }, () => {
      throw new Error('disk');
    });
    await expect(failure).rejects.toThrow('disk');
  });

  it('are nothing outside a span', () => {
    expect(activeTraceparent()).toBeUndefined();
    expect(traceparentOf(trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: 0 }))).toBeUndefined();
  });
});

describe('health', () => {
  const removals: (() => void)[] = [];
  afterEach(() => removals.splice(0).forEach((remove) => remove()));

  it('is fine while the process answers', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, text: expect.stringContaining('"status":"ok"') });
    expect((await get('/nothing')).status).toBe(404);
  });

  it('says whether it is ready and why not, for failing, throwing and silent checks alike', async () => {
    expect((await get('/readyz')).status).toBe(200);
    removals.push(telemetry.readiness.add('disk', () => undefined));
    removals.push(telemetry.readiness.add('bus', async () => 'no connection to NATS'));
    removals.push(
      telemetry.readiness.add('database', () => {
        throw new Error('no answer');
      }),
    );
    const answer = await get('/readyz');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toEqual({
      ready: false,
      checks: [
        { name: 'disk', ready: true },
        { name: 'bus', ready: false, reason: 'no connection to NATS' },
        { name: 'database', ready: false, reason: 'no answer' },
      ],
    });
  });

  it('serves Prometheus metrics of the process and of the application', async () => {
    metrics.getMeter('sample').createCounter('secondsite_sample_sets').add(3, { pair: 'p1' });
    const { status, text } = await get('/metrics');
    expect(status).toBe(200);
    expect(text).toMatch(/^secondsite_sample_sets_total\{pair="p1"\} 3$/m);
    expect(text).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
    expect(text).toMatch(/^process_cpu_seconds_total [\d.]+$/m);
  });

  it('says which address it cannot use', async () => {
    const taken = telemetry.metricsUrl.replace('http://', '');
    for (const metricsListen of [taken, 'nonsense', '127.0.0.1:99999']) {
      await expect(startTelemetry({ serviceName: 'x', metricsListen })).rejects.toMatchObject({ code: 'telemetry/listen', context: { listen: metricsListen } });
    }
  });
});

describe('logs', () => {
  function capture() {
    const lines: string[] = [];
    const logger = createLogger({ serviceName: 'sample', level: 'debug', destination: { write: (line) => void lines.push(line) } });
    return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
  }

  it('are JSON with the trace they belong to', async () => {
    const { logger, last } = capture();
    const span = await inSpan({ name: 'logging' }, (active) => {
      logger.info({ pairId: 'p1' }, 'applied');
      return active;
    });
    expect(last()).toMatchObject({ service: 'sample', level: 'info', pairId: 'p1', msg: 'applied', trace_id: span.spanContext().traceId });
    logger.warn('outside');
    expect(last()).not.toHaveProperty('trace_id');
  });

  it('never hold a secret, by field and by look', () => {
    const { logger, lines } = capture();
    const token = `ss1.${'s3cret'.repeat(8)}.${'ab'.repeat(32)}`;
    logger.info({ token: 's3cret', body: { password: 's3cret', deep: { key: 's3cret' } }, headers: { authorization: 's3cret' } }, `got ${token}`);
    logger.error({ err: new Error(`-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----`, { cause: new Error(token) }) }, 'Bearer s3cret-s3cret');
    expect(lines.join('')).toContain('[redacted]');
    expect(lines.join('')).not.toContain('s3cret');
  });

  it('keep code, hint and cause of an error', () => {
    const { logger, last } = capture();
    logger.error({ err: Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'storage/no-space', hint: 'h' }) }, 'failed');
    expect(last()).toMatchObject({ err: { message: 'outer', code: 'storage/no-space', hint: 'h', cause: { message: 'inner' } } });
  });
});

describe('the end of a process', () => {
  async function run(how: string, ...signals: NodeJS.Signals[]): Promise<{ code: number | null; log: string }> {
    const child = spawn(process.execPath, [compiledSample('process-end-sample'), how], { stdio: ['ignore', 'pipe', 'inherit'] });
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('"up"') && signals.length > 0) child.kill(signals.shift());
      else if (log.includes('shutting down') && signals.length > 0) child.kill(signals.shift());
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, log };
  }

  it.each([
    ['a signal shuts down and ends with 0', 'well', ['SIGTERM'], 0, 'closed everything'],
    ['an interrupt too', 'well', ['SIGINT'], 0, 'closed everything'],
    ['a failing shutdown ends with 1', 'fail', ['SIGTERM'], 1, 'cannot close'],
    ['a shutdown that hangs ends with 1 in time', 'hang', ['SIGTERM'], 1, 'took more than 50 ms'],
    ['a second signal ends with 1 at once', 'twice', ['SIGTERM', 'SIGINT'], 1, 'a second signal'],
    ['an unhandled rejection is fatal', 'reject', [], 1, 'nobody waits'],
    ['an uncaught exception is fatal', 'throw', [], 1, 'a bug'],
  ] as const)('%s', async (_rule, how, signals, code, message) => {
    const end = await run(how, ...signals);
    expect(end.code).toBe(code);
    expect(end.log).toContain(message);
    if (code === 1) expect(end.log).toContain('"level":"fatal"');
  });
});
