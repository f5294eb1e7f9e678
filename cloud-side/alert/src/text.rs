//! What each code means and what to do about it, in the languages of messages.

use crate::{AlertCode, Severity, TransitionKind};
use serde::{Deserialize, Serialize};

/// The language of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

/// The texts of one code: what it means and what to do, in both languages.
struct Texts {
    cause: [&'static str; 2],
    remedy: [&'static str; 2],
}

impl Language {
    fn of(self, texts: [&'static str; 2]) -> &'static str {
        match self {
            Self::En => texts[0],
            Self::Zh => texts[1],
        }
    }
}

impl AlertCode {
    /// What it means.
    pub fn cause(self, language: Language) -> &'static str {
        language.of(self.texts().cause)
    }

    /// What to do about it.
    pub fn remedy(self, language: Language) -> &'static str {
        language.of(self.texts().remedy)
    }

    fn texts(self) -> Texts {
        let (cause, remedy) = match self {
            Self::RpoBreach => (
                [
                    "the newest recovery point is older than its target",
                    "最新恢复点的数据已超过目标时长(RPO)",
                ],
                [
                    "see the group's replication: bring back what is disconnected or stalled, or give the link more bandwidth",
                    "查看保护组的复制状态:恢复断开或停滞的环节,或增加链路带宽",
                ],
            ),
            Self::Stalled => (
                [
                    "everything is connected, and the replica's store takes no data",
                    "各环节均已连接,但副本存储不接收数据",
                ],
                [
                    "do what the detail says, such as giving the store more space; see the cloud side's log",
                    "按详情处理,例如扩充存储空间;并查看云端日志",
                ],
            ),
            Self::Disconnected => (
                [
                    "the gateway or the source's capture is not connected, and new writes do not arrive",
                    "网关或源端采集未连接,新的写入无法到达",
                ],
                [
                    "check that capture and gateway run and reach each other; what is written meanwhile is in the capture's journal",
                    "检查采集与网关是否运行且互通;期间的写入保存在采集日志中",
                ],
            ),
            Self::Untracked => (
                [
                    "the capture does not track writes; a full compare follows",
                    "采集未跟踪写入;随后将进行全量比对",
                ],
                [
                    "do what the reason says, such as making the journal larger or repairing its disk",
                    "按原因处理,例如扩大日志或修复其磁盘",
                ],
            ),
            Self::Unprotected => (
                [
                    "nothing follows what production writes",
                    "生产写入没有任何保护",
                ],
                [
                    "configure and start the capture with this group's ids; after a committed failover begin a failback",
                    "使用该保护组的标识配置并启动采集;故障切换提交后请开始回切",
                ],
            ),
            Self::JournalFilling => (
                [
                    "the capture's journal is nearly full, or will be soon; when it is full the group becomes untracked",
                    "采集日志即将写满;写满后保护组将变为未跟踪状态",
                ],
                [
                    "bring gateway and link back, or make the journal larger",
                    "恢复网关与链路,或扩大日志",
                ],
            ),
            Self::ReplicaSpaceLow => (
                [
                    "hardly any space is left for replicas; below the floor new data is refused",
                    "副本存储空间不足;低于下限将拒绝新数据",
                ],
                [
                    "make the file system of the state directory larger",
                    "扩大状态目录所在的文件系统",
                ],
            ),
            Self::DrillOverdue => (
                [
                    "no drill passed as the schedule asks for, so that the group boots is not proven",
                    "未按计划通过演练,无法证明该组可启动",
                ],
                [
                    "start a drill and see why the last ones did not pass",
                    "启动一次演练,并查明此前演练未通过的原因",
                ],
            ),
            Self::CleanupPending => (
                [
                    "a drill's clean-up is not proven; something may be left of it",
                    "演练清理未得到证实,可能有残留",
                ],
                [
                    "start another drill to try it again, or look at the drill's record for what is left",
                    "再启动一次演练以重试清理,或查看演练记录中的残留",
                ],
            ),
            Self::CommitPending => (
                [
                    "a failover or failback awaits the decision whether it stays",
                    "故障切换或回切正在等待决定:提交或回滚",
                ],
                [
                    "look whether production runs as it should, then commit or roll back",
                    "确认生产运行正常,然后提交或回滚",
                ],
            ),
            Self::SplitBrainSuspected => (
                [
                    "two sites may be taking writes of one group",
                    "同一保护组可能有两个站点同时写入(疑似脑裂)",
                ],
                [
                    "stop the applications at one site, then say which site is kept: bcdr placement",
                    "停止其中一个站点的应用,然后指定保留哪个站点:bcdr placement",
                ],
            ),
            Self::PlacementBlocked => (
                [
                    "a failover, failback or restore failed in a step and cannot go on by itself",
                    "故障切换、回切或恢复在某一步失败,无法自行继续",
                ],
                [
                    "remove the cause in the detail, then retry; or roll back",
                    "排除详情中的原因后重试,或回滚",
                ],
            ),
            Self::ReadinessFailed => (
                [
                    "the newest inspected point would not boot",
                    "最近检查的恢复点无法启动",
                ],
                [
                    "see the point's readiness for what is missing; recover from an older point meanwhile",
                    "查看该恢复点的就绪检查结果;必要时使用更早的恢复点",
                ],
            ),
            Self::ReplicaDamaged => (
                [
                    "something that is kept of the group cannot be read",
                    "该组的部分副本数据无法读取",
                ],
                [
                    "check the disk below the state directory; points that do not need the damaged data can still be used",
                    "检查状态目录所在磁盘;不依赖受损数据的恢复点仍可使用",
                ],
            ),
            Self::ClockSkew => (
                [
                    "the source's clock and the cloud side's differ, so the times of points are wrong by that much",
                    "源端与云端时钟不一致,恢复点的时间因此有误差",
                ],
                [
                    "synchronise both machines with NTP or chrony",
                    "使用 NTP 或 chrony 同步两端时钟",
                ],
            ),
            Self::CertificateExpiring => (
                [
                    "a certificate ends soon, and nobody can connect after that",
                    "证书即将到期,到期后将无法连接",
                ],
                [
                    "replace the certificate files; ones that the cloud side issues itself are renewed daily, so see its log",
                    "更换证书文件;由云端自行签发的证书每日更新,请查看其日志",
                ],
            ),
            Self::ReportOwed => (
                [
                    "a signed report that is due could not be made yet",
                    "应出具的签名报告尚未生成",
                ],
                [
                    "see the cloud side's log for why; it is tried again every few seconds",
                    "在云端日志中查看原因;系统会自动重试",
                ],
            ),
            Self::DeliveryFailed => (
                [
                    "alerts do not arrive by a channel",
                    "告警无法通过某通道送达",
                ],
                [
                    "see the channel's last failure, correct it, and send a test: bcdr alert test CHANNEL",
                    "查看该通道的最近错误并修正,然后发送测试:bcdr alert test CHANNEL",
                ],
            ),
        };
        Texts { cause, remedy }
    }
}

impl Severity {
    /// The word for people.
    pub fn word(self, language: Language) -> &'static str {
        language.of(match self {
            Self::Warning => ["warning", "警告"],
            Self::Critical => ["critical", "严重"],
        })
    }
}

impl TransitionKind {
    /// The word for people.
    pub fn word(self, language: Language) -> &'static str {
        language.of(match self {
            Self::Raised => ["raised", "已触发"],
            Self::Escalated => ["escalated", "已升级"],
            Self::Reopened => ["came back", "再次出现"],
            Self::Cleared => ["cleared", "已恢复"],
            Self::Reminder => [
                "still there, and nobody acknowledged it",
                "仍未恢复且无人确认",
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_words_of_its_own_in_both_languages() {
        let mut seen = BTreeSet::new();
        for code in AlertCode::ALL {
            for language in [Language::En, Language::Zh] {
                assert!(seen.insert(code.cause(language)), "{code}");
                assert!(seen.insert(code.remedy(language)), "{code}");
                let is_chinese = |text: &str| text.chars().any(|one| one > '\u{2fff}');
                assert_eq!(is_chinese(code.cause(language)), language == Language::Zh);
                assert_eq!(is_chinese(code.remedy(language)), language == Language::Zh);
            }
        }
    }
}
