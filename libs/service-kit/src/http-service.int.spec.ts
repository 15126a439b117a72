// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { defineRoute } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import pino from 'pino';
import { z } from 'zod';
import { Call, Handles } from './handles';
import { type HttpService, startHttpService } from './http-service';
import type { RouteCall } from './route-call';
import { RefusedRequest } from './refused-request';
import { readProblem } from './testing';

const echo = defineRoute({
  operationId: 'echo', method: 'POST', path: '/v1/echoes/{name}', tag: 'test', summary: 'Echo.', access: 'admin', status: 201,
  query: z.object({ times: z.coerce.number().int().min(1).default(1) }),
  body: z.object({ text: z.string().min(1), secret: z.string().min(20).optional() }),
  response: z.object({ answer: z.string() }),
});
const fail = defineRoute({ operationId: 'fail', method: 'GET', path: '/v1/failures/{kind}', tag: 'test', summary: 'Fail.', access: 'public', status: 200 });
const renew = defineRoute({ operationId: 'renew', method: 'GET', path: '/v1/renewals', tag: 'test', summary: 'Renew.', access: 'component', status: 200 });

@Controller()
class EchoController {
  @Handles(echo)
  echo(@Call() call: RouteCall<typeof echo>): unknown {
    return { answer: `${call.params.name}: ${call.body.text.repeat(call.query.times)}`, leak: 'not in the contract' };
  }

  @Handles(fail)
  fail(@Call() call: RouteCall<typeof fail>): never {
    if (call.params.kind === 'refused') throw new RefusedRequest({ status: 409, code: 'plan/exists', detail: 'plan x exists', hint: 'Choose another.' });
    if (call.params.kind === 'down') throw new OperationError({ code: 'bus/down', operation: 'ask', retryable: true, hint: 'Wait.' });
    throw new Error('password=hunter2');
  }

  @Handles(renew)
  renew(): object {
    return {};
  }
}

describe('an HTTP service', () => {
  let service: HttpService;
  const refused: string[] = [];
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${service.port}${path}`, {
      ...init, headers: { authorization: 'Bearer let-me-in', 'content-type': 'application/json', ...(init.headers as Record<string, string> | undefined) },
    });

  beforeAll(async () => {
    service = await startHttpService({
      controllers: [EchoController], providers: [], listen: { host: '127.0.0.1', port: 0 }, logger: pino({ level: 'silent' }),
      access: { adminToken: 'let-me-in', onRefused: ({ code }) => refused.push(code) },
      problems: { statusByCode: {} },
    });
  });
  afterAll(() => service.close());

  it('validates, calls the handler and drops what the contract does not know', async () => {
    const response = await ask('/v1/echoes/ann?times=2', { method: 'POST', body: '{"text":"hi"}' });
    expect([response.status, await response.json()]).toEqual([201, { answer: 'ann: hihi' }]);
  });

  it('names every fault of a request at once, never its values', async () => {
    const response = await ask('/v1/echoes/ann?times=0', { method: 'POST', body: '{"text":"","secret":"hunter2"}' });
    const problem = await readProblem(response);
    expect(problem).toMatchObject({ status: 400, code: 'request/invalid' });
    expect(problem.faults?.map((fault) => fault.path)).toEqual(['query.times', 'body.text', 'body.secret']);
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('refuses a missing or wrong admin token, and a component without certificate, and says so to the audit', async () => {
    const wrong = await ask('/v1/echoes/ann', { method: 'POST', body: '{"text":"hi"}', headers: { authorization: 'Bearer let-me-on' } });
    expect(await readProblem(wrong)).toMatchObject({ status: 401, code: 'access/admin-token' });
    expect(await readProblem(await ask('/v1/renewals'))).toMatchObject({ status: 401, code: 'access/client-certificate' });
    expect(refused).toEqual(['access/admin-token', 'access/client-certificate']);
  });

  it('answers refusals, outages and unknown errors as problems, the last without their inside', async () => {
    expect(await readProblem(await ask('/v1/failures/refused'))).toMatchObject({ status: 409, code: 'plan/exists', hint: 'Choose another.' });
    const down = await ask('/v1/failures/down');
    expect(down.headers.get('retry-after')).toBe('2');
    expect(await readProblem(down)).toMatchObject({ status: 503, code: 'bus/down', retryable: true });
    const unknown = await readProblem(await ask('/v1/failures/other'));
    expect(unknown).toMatchObject({ status: 500, code: 'internal' });
    expect(JSON.stringify(unknown)).not.toContain('hunter2');
  });

  it('answers unknown paths and unreadable bodies as problems', async () => {
    expect(await readProblem(await ask('/v1/nowhere'))).toMatchObject({ status: 404, code: 'request/unknown-path' });
    expect(await readProblem(await ask('/v1/echoes/ann', { method: 'POST', body: '{' }))).toMatchObject({ status: 400, code: 'request/malformed' });
  });
});
