// SPDX-License-Identifier: Apache-2.0
const { readFileSync } = require('node:fs');

/** Specs run from TypeScript; packages of this repository resolve to their sources, so nothing is tested twice or stale. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/test', '<rootDir>/tools', '<rootDir>/bench', '<rootDir>/simulation'],
  testMatch: ['**/*.spec.ts'],
  modulePathIgnorePatterns: ['/dist/'],
  transform: { '^.+\\.ts$': ['@swc/jest', JSON.parse(readFileSync(`${__dirname}/.swcrc`, 'utf8'))] },
  moduleNameMapper: {
    '^@secondsite/([^/]+)$': ['<rootDir>/libs/$1/src', '<rootDir>/apps/$1/src'],
    '^@secondsite/([^/]+)/testing$': ['<rootDir>/libs/$1/src/testing', '<rootDir>/apps/$1/src/testing'],
  },
  testTimeout: 60_000,
};
