// SPDX-License-Identifier: Apache-2.0
export { type NatsFiles, prepareNats } from './bus-access/nats-files';
export { openApiDocument } from './administration/open-api';
export { type ConfigServerConfig, type InitConfig, readConfig, readInitConfig } from './config';
export { type ConfigServer, startConfigServer } from './config-server';
export { openAuthority, prepareAuthority } from './security/prepare-authority';
