use super::*;
use crate::testing::{gateway::Gateway, site::Site};
use bcdr_nbd::client::{Client, ClientOptions};
use serde_json::{Value, json};
use std::path::Path;

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
