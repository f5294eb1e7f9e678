use super::*;
use crate::testing::{gateway::Gateway, site::Site, source::Source};
use bcdr_nbd::client::{Client, ClientOptions};
use serde_json::{Value, json};
use std::{
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

#[tokio::test]
async fn a_role_whose_catalog_is_lost_does_not_start_on_a_fresh_one() {
    let mut site = Site::start().await;
    site.group().await;
    site.stop().await;
    let catalog = StateFiles::new(&site.config.state_directory).catalog();
    let kept = catalog.with_extension("kept");
    std::fs::rename(&catalog, &kept).unwrap();
    let refused = async |how: &str| {
        let storage = Arc::new(RealStorage::new());
        let target: Arc<dyn Target> = site.target.clone();
        let stop = CancellationToken::new();
        let started = start_on(site.config.clone(), storage, target, stop).await;
        let told = started.unwrap_err().to_string();
        assert!(told.contains(how) && told.contains("backup"), "{told}");
        let token = crate::init::create_token(
            &site.config.state_directory,
            "another",
            bcdr_http::Role::Viewer,
        );
        let told = token.unwrap_err().to_string();
        assert!(told.contains(how) && told.contains("backup"), "{told}");
    };
    refused("missing").await;
    assert!(!catalog.exists());
    std::fs::write(&catalog, b"").unwrap();
    refused("an empty file").await;
    std::fs::rename(&kept, &catalog).unwrap();
    site.resume().await;
    site.get("/api/v1/groups/lab").await.expect(200);
}

#[tokio::test]
async fn damage_is_remembered_over_a_restart_until_that_chunk_opens_again() {
    let mut site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    drop(gateway);
    let body = json!({"group": "lab", "at": "latest"});
    let view = site.post("/api/v1/views", body).await.expect(201);
    let is_damaged = |group: &Value| {
        let reasons = group["health"]["reasons"].as_array().unwrap();
        let codes = reasons.iter().map(|reason| &reason["code"]);
        codes.clone().any(|code| code == "replica_damaged")
    };
    let shown = "/api/v1/groups/lab";
    assert!(!is_damaged(&site.get(shown).await.expect(200)));
    let repair = site.damage(&source, &batch);
    let uri = view["volumes"][0]["nbd"].as_str().unwrap();
    let socket = uri.split_once("socket=").unwrap().1.to_owned();
    let options = ClientOptions::default();
    let client = Client::connect(Path::new(&socket), "root", options);
    client.await.unwrap().read(0, 4096).await.unwrap_err();
    assert!(is_damaged(&site.get(shown).await.expect(200)));
    site.stop().await;
    site.resume().await;
    // Nobody has read it in this process.
    assert!(is_damaged(&site.get(shown).await.expect(200)));
    site.stop().await;
    repair();
    site.resume().await;
    site.until(shown, |group| !is_damaged(group)).await;
    site.stop().await;
    site.resume().await;
    assert!(!is_damaged(&site.get(shown).await.expect(200)));
}

async fn view_of_a_point(site: &Site) -> (Source, String, PathBuf) {
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    let body = json!({"group": "lab", "at": "latest"});
    let opened = site.post("/api/v1/views", body).await;
    let view = opened.expect(201);
    let uri = view["volumes"][0]["nbd"].as_str().unwrap();
    let socket = uri.split_once("socket=").unwrap().1.into();
    (source, opened.location.unwrap(), socket)
}

#[tokio::test]
async fn only_what_views_left_behind_is_removed_from_the_runtime_directory() {
    let mut site = Site::start().await;
    let (_source, _view, socket) = view_of_a_point(&site).await;
    site.stop().await;
    let directory = site.config.runtime_directory.clone();
    let gone = crate::record_id::ViewId::generate(crate::clock::wall()).unwrap();
    let living = crate::record_id::ViewId::generate(crate::clock::wall()).unwrap();
    let bind = |name: String| UnixListener::bind(directory.join(name)).unwrap();
    for name in [format!("{gone}.sock"), "capture.sock".to_owned()] {
        drop(bind(name));
    }
    let _listens = bind(format!("{living}.sock"));
    let nursery = directory.join(format!(".{gone}.sock.new"));
    std::fs::create_dir(&nursery).unwrap();
    std::fs::write(nursery.join("socket"), "").unwrap();
    for name in [
        "viw-nothing.sock",
        "viw-nothing.sock.new",
        ".capture.sock.new",
    ] {
        std::fs::write(directory.join(name), "").unwrap();
    }
    site.resume().await;
    assert!(socket.exists());
    assert!(!directory.join(format!("{gone}.sock")).exists());
    assert!(!nursery.exists());
    for name in [
        &format!("{living}.sock"),
        "capture.sock",
        "viw-nothing.sock",
        "viw-nothing.sock.new",
        ".capture.sock.new",
    ] {
        assert!(directory.join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_view_whose_store_opens_later_is_opened_then() {
    let mut site = Site::start().await;
    let (source, view, socket) = view_of_a_point(&site).await;
    site.stop().await;
    let replicas = site.config.state_directory.join("replicas");
    let lineage = replicas.join(source.stream.to_string());
    let aside = replicas.join("aside");
    std::fs::rename(&lineage, &aside).unwrap();
    std::fs::write(&lineage, "not a directory").unwrap();
    site.resume().await;
    assert_ne!(site.get(&view).await.expect(200)["state"], "open");
    std::fs::remove_file(&lineage).unwrap();
    std::fs::rename(&aside, &lineage).unwrap();
    site.until(&view, |view| view["state"] == "open").await;
    let options = ClientOptions::default();
    let client = Client::connect(&socket, "root", options).await.unwrap();
    assert_eq!(
        client.read(0, 4096).await.unwrap()[..],
        source.image[..4096]
    );
}
