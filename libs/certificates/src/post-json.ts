// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { ConnectionOptions } from 'node:tls';

export interface JsonPost {
  /** Address of the configuration server, without a path. */
  readonly configServerUrl: string;
  readonly path: string;
  readonly tls: ConnectionOptions;
  readonly body: object;
  readonly operation: string;
  readonly timeoutMillis?: number;
}

type Fields = Readonly<Record<string, unknown>>;

const answerBytesMax = 1024 * 1024;

/**
 * Posts JSON on a connection of its own and returns the answer's fields. Throws an OperationError: with the server's own `code` and `hint`
 * when it refuses, `tls/foreign-certificate`, or `config-server/unreachable` (retryable).
 */
export async function postJson(post: JsonPost): Promise<Fields> {
  try {
    const { status, fields } = await exchange(post);
    if (status >= 200 && status < 300) return fields;
    throw refusal({ status, fields, operation: post.operation });
  } catch (error) {
    throw error instanceof OperationError ? error : connectionError(error, post);
  }
}

function exchange({ configServerUrl, path, tls, body, timeoutMillis = 15_000 }: JsonPost): Promise<{ status: number; fields: Fields }> {
  const url = new URL(path, configServerUrl);
  const send = url.protocol === 'https:' ? secureRequest : plainRequest;
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const request = send(url, { ...tls, method: 'POST', headers, agent: false, signal: AbortSignal.timeout(timeoutMillis) });
    request.once('error', reject);
    request.once('response', (response) => void readAnswer(response).then(resolve, reject));
    request.end(text);
  });
}

async function readAnswer(response: IncomingMessage): Promise<{ status: number; fields: Fields }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, fields: parseFields(Buffer.concat(chunks).toString('utf8')) };
}

function parseFields(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Fields) : {};
  } catch {
    return {};
  }
}

function refusal({ status, fields, operation }: { status: number; fields: Fields; operation: string }): OperationError {
  const code = typeof fields.code === 'string' ? fields.code : `config-server/status-${status}`;
  const hint = typeof fields.hint === 'string' ? fields.hint : 'See the log of the configuration server.';
  return new OperationError({ code, operation, context: { status }, retryable: status >= 500 || status === 429, hint });
}

const tlsRefusal = /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$|tls\/)/;

function connectionError(cause: unknown, { configServerUrl, operation }: JsonPost): OperationError {
  const reason = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  const foreign = tlsRefusal.test(reason);
  return new OperationError({
    code: foreign ? 'tls/foreign-certificate' : 'config-server/unreachable',
    operation,
    context: { host: new URL(configServerUrl).host, reason },
    retryable: !foreign,
    hint: foreign
      ? 'What answers there is not the configuration server of this installation, or its certificate has expired; check address and clocks.'
      : 'Check that the configuration server runs and that the network lets connections to it through.',
    cause,
  });
}
