// SPDX-License-Identifier: Apache-2.0
import { restRoutes } from '@secondsite/contracts';
import { buildOpenApi } from '@secondsite/service-kit';

const info = {
  title: 'Secondsite configuration server',
  version: '0.1.0',
  description: 'Inventory, protection plans, recovery points, views and status. Errors are application/problem+json.',
};

/** OpenAPI 3.1 of every REST operation; a copy is kept in openapi.json. */
export function openApiDocument(): Record<string, unknown> {
  return buildOpenApi(Object.values(restRoutes), info);
}
