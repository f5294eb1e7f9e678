//! Reading a plan from a file, with everything that is wrong with it told at once.

use crate::cli::Failure;
use bcdr_plan::Plan;
use std::{fs, path::Path};

/// Reads a plan: JSON from a file whose name says so, TOML from any other. Only the cloud side knows
/// which groups there are.
pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let wrong = |cause: String| {
        Failure::usage(format!("cannot use the plan {}", path.display())).cause(cause)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let plan: Plan = if is_json {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?
    } else {
        toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?
    };
    match plan.check(|_| true) {
        Ok(_) => Ok(plan),
        Err(faults) => {
            let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
            Err(wrong(lines.join("\n       ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit;

    const PLAN: &str = "name = \"shop\"\n[[steps]]\nid = \"db\"\ndo.group = { name = \"db\" }\n";

    #[test]
    fn both_forms_are_read_and_all_faults_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let toml = directory.path().join("shop.toml");
        fs::write(&toml, PLAN).unwrap();
        let plan = read(&toml).unwrap();
        let json = directory.path().join("shop.json");
        fs::write(&json, serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(read(&json).unwrap(), plan);
        let faulty = PLAN.replace("\"db\"\ndo", "\"db\"\nafter = [\"x\", \"y\"]\ndo");
        fs::write(&toml, faulty).unwrap();
        let failure = read(&toml).unwrap_err();
        assert_eq!(failure.code(), exit::USAGE);
        let text = failure.to_string();
        assert!(text.contains("\"x\"") && text.contains("\"y\""), "{text}");
        fs::write(&toml, PLAN.replace("do.group", "do.gruop")).unwrap();
        assert!(read(&toml).unwrap_err().to_string().contains("gruop"));
    }
}
