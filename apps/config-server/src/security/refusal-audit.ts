// SPDX-License-Identifier: Apache-2.0
import { fact } from '@secondsite/protection';
import type { Logger } from 'pino';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { AuditAllowance } from './audit-allowance';

export interface RefusedCaller {
  readonly operationId: string;
  readonly remoteAddress: string;
  readonly code: string;
}

/** Records callers that were refused. */
export class RefusalAudit {
  constructor(
    private readonly parts: { readonly commands: CommandRunner; readonly componentId: string; readonly logger: Logger; readonly allowance: AuditAllowance },
  ) {}

  /** Returns at once. */
  record({ operationId, remoteAddress, code }: RefusedCaller): void {
    const { allowance, commands, componentId, logger } = this.parts;
    logger.warn({ operationId, remoteAddress, code }, 'caller refused');
    if (!allowance.take()) return;
    const refused = { componentId, role: 'config-server', code, reason: `${operationId} was refused`, remoteAddress } as const;
    commands
      .run({ actor: { kind: 'system', id: 'access' } }, (unit) => unit.append(streams.security, fact('security.peer-refused.v1', refused)))
      .catch((error: unknown) => logger.error({ err: error }, 'refusal not recorded'));
  }
}
