//! Writes the table of what `npm run build` left in `dist`.
//!
//! Without a built console the table is empty: the program compiles all the same, and says what is
//! missing when somebody opens it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let variable = |name: &str| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let dist = variable("CARGO_MANIFEST_DIR").join("dist");
    // A directory that is missing would count as changed in every build, and all that uses this crate
    // would be compiled again each time. Where it cannot be made, that is the price.
    let _made = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=embed/build.rs");
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&dist).expect("it was found there");
        let name = name.to_str().expect("the build gives plain names");
        let file = file.to_str().expect("the tree's path is UTF-8");
        table.push_str(&format!("    ({name:?}, include_bytes!({file:?})),\n"));
    }
    table.push(']');
    fs::write(variable("OUT_DIR").join("files.rs"), table)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
