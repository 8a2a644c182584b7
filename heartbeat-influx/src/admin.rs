//! What a server must have: the bucket, and a dashboard to look at.

use std::sync::Arc;
use std::time::Duration;

use heartbeat_core::{Error, Result, durations};
use influxdb2::RequestError;
use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::api::organization::ListOrganizationRequest;
use influxdb2::models::retention_rule::Type::Expire;
use influxdb2::models::{PostBucketRequest, RetentionRule};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::InfluxConfig;
use crate::dashboard;
use crate::error::Answer;
use crate::store::connect;

/// Sees to what an [`InfluxStore`](crate::InfluxStore) writes to, and to a dashboard that shows it.
///
/// What is there is never changed, but for a dashboard of an older version of heartbeat.
#[derive(Debug)]
pub struct InfluxAdmin {
    client: Arc<Client>,
    org: String,
}

/// A bucket that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketState {
    /// How long it keeps points. `None`: for ever.
    pub retention: Option<Duration>,
}

/// What there is of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DashboardState {
    /// It is not there.
    Missing,
    /// It is there.
    Installed,
    /// It is there as another version of heartbeat installed it.
    Outdated,
    /// It is there, and somebody has written another description: it is theirs.
    Adopted,
}

impl InfluxAdmin {
    /// Reaches the server and finds the organization.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](heartbeat_core::ErrorKind::Misconfigured) when a setting cannot work, or the token's owner
    /// may not see the organization; [`ErrorKind::Unavailable`](heartbeat_core::ErrorKind::Unavailable) while the server is
    /// away.
    pub async fn connect(config: InfluxConfig) -> Result<Self> {
        let client = connect(config).await?;
        let org = ListOrganizationRequest {
            org: Some(client.settings.org.clone()),
            ..ListOrganizationRequest::default()
        };
        let (asked, api) = client.api("GET", "/api/v2/orgs");
        let found = api.list_organizations(org).await;
        let mut found = found.map_err(|error| asked.failed(error))?.orgs;
        // Asked for by its name, there is none or one.
        let org = found.pop().and_then(|org| org.id).ok_or_else(|| {
            Error::misconfigured("InfluxDB shows the access token's owner no organization of this name")
                .with("org", &client.settings.org)
                .hint("Check `org`, or give a token that may read the organization, its buckets and its dashboards.")
        })?;
        Ok(Self { client, org })
    }

    /// The bucket, if it is there and the token's owner may see it.
    ///
    /// # Errors
    /// As of [`InfluxAdmin::connect`].
    pub async fn bucket(&self) -> Result<Option<BucketState>> {
        let request = ListBucketsRequest {
            name: Some(self.client.settings.bucket.clone()),
            org_id: Some(self.org.clone()),
            ..ListBucketsRequest::default()
        };
        let (asked, api) = self.client.api("GET", "/api/v2/buckets");
        let found = match api.list_buckets(Some(request)).await {
            Err(RequestError::Http { status, text }) if status.as_u16() == 404 => {
                let answer = Answer::kept(status, text);
                match answer.told() {
                    Some(_) => return Ok(None),
                    None => return Err(asked.refused(&answer)),
                }
            }
            found => found.map_err(|error| asked.failed(error))?,
        };
        Ok(found.buckets.first().map(|bucket| {
            let seconds = bucket
                .retention_rules
                .first()
                .map(|rule| rule.every_seconds);
            let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let retention = seconds
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs);
            BucketState { retention }
        }))
    }

    /// Makes the bucket, which is not there yet. `None` keeps points for ever; InfluxDB keeps them for an hour at least.
    ///
    /// # Errors
    /// As of [`InfluxAdmin::connect`].
    pub async fn create_bucket(&self, retention: Option<Duration>) -> Result<()> {
        let mut request =
            PostBucketRequest::new(self.org.clone(), self.client.settings.bucket.clone());
        if let Some(retention) = retention {
            let seconds = i32::try_from(retention.as_secs()).ok();
            let seconds = seconds.filter(|seconds| *seconds >= 3600).ok_or_else(|| {
                Error::misconfigured(
                    "InfluxDB keeps points for an hour at least, and for 68 years at most",
                )
                .with("retention", durations::written(retention))
                .hint("Leave the retention out to keep them for ever.")
            })?;
            request.retention_rules = vec![RetentionRule::new(Expire, seconds)];
        }
        let (asked, api) = self.client.api("POST", "/api/v2/buckets");
        api.create_bucket(Some(request))
            .await
            .map_err(|error| asked.failed(error))
    }

    /// What there is of the dashboard.
    ///
    /// # Errors
    /// As of [`InfluxAdmin::connect`].
    pub async fn dashboard(&self) -> Result<DashboardState> {
        Ok(self.find().await?.1)
    }

    /// Installs the dashboard where it is missing or outdated, and gives what there was of it before.
    ///
    /// # Errors
    /// As of [`InfluxAdmin::connect`].
    pub async fn install_dashboard(&self) -> Result<DashboardState> {
        let (stack, state) = self.find().await?;
        if matches!(state, DashboardState::Missing | DashboardState::Outdated) {
            let settings = &self.client.settings;
            let contents = dashboard::template(&settings.bucket, &settings.measurement);
            let mut body = json!({"orgID": self.org, "template": {"contents": contents}});
            if let Some(stack) = stack {
                // Else it would be a second one beside the first.
                body["stackID"] = stack.into();
            }
            self.client.apply(&body).await?;
        }
        Ok(state)
    }

    /// The template that [`InfluxAdmin::install_dashboard`] installs, for `influx apply` and the like.
    #[must_use]
    pub fn template(config: &InfluxConfig) -> Value {
        dashboard::template(&config.bucket, &config.measurement)
    }

    /// The stack in which InfluxDB keeps what came by the template, and what there is of it.
    async fn find(&self) -> Result<(Option<String>, DashboardState)> {
        #[derive(Deserialize)]
        struct Stacks {
            stacks: Vec<Stack>,
        }
        #[derive(Deserialize)]
        struct Stack {
            id: String,
            #[serde(default)]
            resources: Vec<Resource>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Resource {
            #[serde(rename = "resourceID")]
            id: String,
            kind: String,
            template_meta_name: String,
        }
        #[derive(Deserialize)]
        struct Dashboard {
            #[serde(default)]
            description: String,
        }
        let settings = &self.client.settings;
        let name = dashboard::name(&settings.bucket, &settings.measurement);
        let stacks: Option<Stacks> = self
            .client
            .get("/api/v2/stacks", &[("orgID", &self.org)])
            .await?;
        let ours = stacks
            .into_iter()
            .flat_map(|stacks| stacks.stacks)
            .find_map(|stack| {
                let mut resources = stack.resources.into_iter();
                let ours = resources.find(|resource| {
                    resource.kind == "Dashboard" && resource.template_meta_name == name
                })?;
                Some((stack.id, ours.id))
            });
        let Some((stack, id)) = ours else {
            return Ok((None, DashboardState::Missing));
        };
        let path = format!("/api/v2/dashboards/{id}");
        let found: Option<Dashboard> = self.client.get(&path, &[]).await?;
        let state = match found.map(|found| dashboard::version(&found.description)) {
            None => DashboardState::Missing,
            Some(None) => DashboardState::Adopted,
            Some(Some(dashboard::VERSION)) => DashboardState::Installed,
            Some(Some(_)) => DashboardState::Outdated,
        };
        Ok((Some(stack), state))
    }
}
