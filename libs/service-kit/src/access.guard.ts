// SPDX-License-Identifier: Apache-2.0
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { verifiedPeer } from '@secondsite/certificates';
import { isOperationError } from '@secondsite/units';
import type { Request } from 'express';
import { createHash, timingSafeEqual } from 'node:crypto';
import { routeOf } from './handles';
import { RefusedRequest } from './refused-request';

export interface AccessRules {
  /** Text that the administrator's bearer token must equal. */
  readonly adminToken: string;
  /** Told of every refusal, for the audit log. */
  readonly onRefused: (refusal: { readonly operationId: string; readonly remoteAddress: string; readonly code: string }) => void;
}

/** The one place where REST access is decided. Tokens are compared in constant time. */
@Injectable()
export class AccessGuard implements CanActivate {
  readonly #adminTokenHash: Buffer;

  constructor(private readonly rules: AccessRules) {
    this.#adminTokenHash = sha256(rules.adminToken);
  }

  canActivate(context: ExecutionContext): boolean {
    const route = routeOf(context);
    const request = context.switchToHttp().getRequest<Request>();
    if (route.access === 'public') return true;
    if (route.access === 'admin' ? this.#isAdmin(request) : this.#isComponent(request)) return true;
    const code = route.access === 'admin' ? 'access/admin-token' : 'access/client-certificate';
    this.rules.onRefused({ operationId: route.operationId, remoteAddress: request.socket.remoteAddress ?? 'unknown', code });
    throw new RefusedRequest(
      route.access === 'admin'
        ? { status: 401, code, detail: 'the admin token is missing or wrong', hint: 'Send "Authorization: Bearer …" with the text of the file admin-token.' }
        : { status: 401, code, detail: 'a certificate of this installation is needed', hint: 'Enrol the component, or enrol it again when its certificate ran out.' },
    );
  }

  #isAdmin(request: Request): boolean {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    return scheme?.toLowerCase() === 'bearer' && timingSafeEqual(sha256(token ?? ''), this.#adminTokenHash);
  }

  #isComponent(request: Request): boolean {
    try {
      return verifiedPeer(request.socket) !== undefined;
    } catch (error) {
      if (isOperationError(error, 'tls/foreign-certificate')) return false;
      throw error;
    }
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
