// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import assert from 'node:assert';
import { adminOrigin } from '../admin-origin';
import { DirectoryCache } from '../read-models/directory-cache';
import { ServerClock } from '../server-clock';
import { Enrolments } from './enrolments';

@Controller()
export class EnrolmentController {
  constructor(private readonly enrolments: Enrolments, private readonly directories: DirectoryCache, private readonly clock: ServerClock) {}

  @Handles(restRoutes.issueEnrolmentToken)
  issueToken(@Call() call: RouteCall<typeof restRoutes.issueEnrolmentToken>): Promise<unknown> {
    const { role, host, validSeconds } = call.body;
    return this.enrolments.issueToken({ role, host, validSeconds }, adminOrigin(call));
  }

  @Handles(restRoutes.listEnrolmentTokens)
  async listTokens(@Call() _call: RouteCall<typeof restRoutes.listEnrolmentTokens>): Promise<unknown> {
    const now = this.clock.iso();
    const { tokens } = await this.directories.load();
    return { tokens: tokens.map((token) => ({ ...token, state: token.usedBy !== undefined ? 'used' : token.expiresAt <= now ? 'expired' : 'open' })) };
  }

  @Handles(restRoutes.enrol)
  enrol(@Call() call: RouteCall<typeof restRoutes.enrol>): Promise<unknown> {
    return this.enrolments.enrol(call.body, call.remoteAddress);
  }

  @Handles(restRoutes.renewCertificate)
  renew(@Call() call: RouteCall<typeof restRoutes.renewCertificate>): Promise<unknown> {
    assert(call.peer, 'the guard lets nobody without certificate through');
    return this.enrolments.renew(call.peer, call.body);
  }
}
