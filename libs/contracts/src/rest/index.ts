// SPDX-License-Identifier: Apache-2.0
export * from './route';
export * from './fields';
export * from './problem';
export * from './hosts';
export * from './components';
export * from './enrolment';
export * from './volumes';
export * from './pairs';
export * from './plans';
export * from './points';
export * from './views';
export * from './retention';
export * from './traces';
export * from './status';
export * from './admin';
export * from './routes';
