/** English, which says what keys there are. */
import { access } from './en/access';
import { alert } from './en/alert';
import { audit } from './en/audit';
import { common } from './en/common';
import { drill } from './en/drill';
import { group } from './en/group';
import { line } from './en/line';
import { move } from './en/move';
import { overview } from './en/overview';
import { plan } from './en/plan';
import { report } from './en/report';
import { restore } from './en/restore';
import { settings } from './en/settings';
import { states } from './en/states';

export const en = {
  ...common,
  ...access,
  ...alert,
  ...audit,
  ...states,
  ...group,
  ...drill,
  ...move,
  ...report,
  ...restore,
  ...overview,
  ...settings,
  ...plan,
  ...line,
};

export type Key = keyof typeof en;
