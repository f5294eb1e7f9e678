/** Why the role of who is signed in does not allow something, in words; null when it does. */
import type { Operation } from '../api/access';
import { useSession } from '../api/signedIn';
import { lackFor } from '../states/permission';
import { useWords } from '../words/words';

export function useRefusal(): (...operations: readonly Operation[]) => string | null {
  const { t, language } = useWords();
  const session = useSession();
  const anyOf = new Intl.ListFormat(language === 'zh' ? 'zh-CN' : 'en-GB', { type: 'disjunction' });
  return (...operations) => {
    const lack = lackFor(session, ...operations);
    if (!lack) return null;
    return t('may.refused', {
      role: t(`role.${session.role}`),
      permission: t(`permission.${lack.permission}`),
      roles: anyOf.format(lack.roles.map((role) => t(`role.${role}`))),
    });
  };
}
